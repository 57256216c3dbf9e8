"""The command that serves a project: from a manifest to a running server."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from emulator.cli import options
from emulator.containers import TravelError
from emulator.containers.workers import Settings
from emulator.gateway.gateway import Gateway
from emulator.gateway.websocket.connection import Limits
from emulator.gateway.websocket.websocket_gateway import WebSocketGateway
from emulator.manifest import addresses
from emulator.manifest.loader import Source
from emulator.manifest.model import Manifest
from emulator.server.access import is_loopback
from emulator.server.app import Application
from emulator.server.http_server import PortTakenError, Server, listen
from emulator.server.management import PREFIX
from emulator.server.pages import PageError
from emulator.server.recording import Recorder
from emulator.server.snapshot_routes import SnapshotRoutes
from emulator.service import console
from emulator.service.clock import Clock, ClockError
from emulator.service.console import Console
from emulator.service.faults import Faults, FaultsError, Shapes
from emulator.service.functions import Functions
from emulator.service.logs import LogBook
from emulator.service.project import Project
from emulator.service.request_book import RequestBook
from emulator.service.snapshots import Snapshots

if TYPE_CHECKING:
    from emulator.server.identity_provider import IdentityProvider


class Identity(NamedTuple):
    """That the emulator is an identity provider too, and which file keeps its private key."""

    key_file: Path | None = None


class WebSockets(NamedTuple):
    """How long connections may live, and whether the messages of one are processed one after another."""

    limits: Limits
    in_order: bool


class FaultsFile(NamedTuple):
    """The rules for faults with which the emulator starts, and the file that has them."""

    path: Path
    shapes: Shapes


def serve_until_stopped(
    host: str,
    port: int,
    source: Source,
    runtime: options.Runtime,
    settings: Settings,
    allow_hosts: Iterable[str] = (),
    identity: Identity | None = None,
    requests: RequestBook | None = None,
    at: datetime | None = None,
    page_files: Iterable[Path] = (),
    websockets: WebSockets | None = None,
    faults: FaultsFile | None = None,
    recording: Path | None = None,
) -> None:
    """Serve until a signal comes; whatever is wrong beforehand is one line and the exit code 1.

    With `at` the clock starts there; `faults` are the first rules for faults; requests are written to `recording`. The
    emulator's own routes answer for a loopback host, for `host`, and for those of `allow_hosts`.
    """
    manifest = options.loaded(source)
    try:
        listener = listen(host, port)
    except PortTakenError as error:
        options.refuse(str(error))
    endpoint = _address(_reachable(host), listener)
    containers = options.containers(runtime, manifest, dataclasses.replace(settings, endpoint=endpoint))
    _warn(manifest, host)
    further = {address: _listen_near(host, port) for address in addresses.of_manifest(manifest)}
    own_address = _address(host, listener)
    urls = {one: _address(host, found) for one, found in further.items()}
    screen = Console()
    functions = Functions(containers, LogBook(), screen)
    if at is not None:
        _start_at(functions.clock, at)
    if faults is not None:
        _start_with(functions.faults, faults, manifest)
    provider = None if identity is None else _identity_provider(identity, own_address, functions.clock)
    issuer = "" if provider is None else provider.issuer
    project = Project(source, manifest, functions, screen, requests)
    own_ports = {found.getsockname()[1]: one for one, found in further.items()}
    routes = SnapshotRoutes(Snapshots(project, settings.extra)).routes()
    routes += [] if provider is None else provider.routes()
    limits, in_order = websockets or WebSockets(Limits(), in_order=False)
    sockets = WebSocketGateway(project, limits, in_order=in_order, own_ports=own_ports)
    gateway = Gateway(project, own_ports)
    try:
        application = Application(project, gateway, sockets, (host, *allow_hosts), routes, page_files)
    except PageError as error:
        options.refuse(f"--page {error}")
    pages = [f"{own_address}{path}" for path in (f"{PREFIX}/", *(page.path for page in application.pages))]
    text = console.banner(manifest, own_address, runtime.value, urls, issuer, pages)
    recorder = None if recording is None else _recorder(project.requests, recording)

    def ready() -> None:
        console.write(text)
        if recorder is not None:
            recorder.start()

    Server(application, sockets, ready=ready, stopping=application.begin_stop).run([listener, *further.values()])
    if recorder is not None:
        recorder.finish()


def _recorder(book: RequestBook, file: Path) -> Recorder:
    if not book.keeps:
        options.refuse("--record needs requests that are kept: give --keep-requests another number than 0")
    try:
        return Recorder(book, file.open("x", encoding="utf-8"))
    except OSError as error:
        options.refuse(f"--record {file}: {error.strerror}")


def _warn(manifest: Manifest, host: str) -> None:
    for warning in manifest.warnings:
        options.warn(warning)
    if not is_loopback(host):
        options.warn(f"listening on {host}: whoever reaches this machine can call every function")


def _listen_near(host: str, port: int) -> socket.socket:
    """A socket for an address of its own: on the next free port after the emulator's own, or on any."""
    for near in range(port + 1, port + 20) if port else ():
        with contextlib.suppress(PortTakenError):
            return listen(host, near)
    return listen(host, 0)


def _reachable(host: str) -> str:
    """The address at which a process of this machine reaches a server that listens on this one."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _address(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"


def _start_at(clock: Clock, moment: datetime) -> None:
    try:
        asyncio.run(clock.show(moment, running=True))
    except (ClockError, TravelError) as error:
        options.refuse(f"--at: {error}")


def _start_with(faults: Faults, file: FaultsFile, manifest: Manifest) -> None:
    try:
        faults.set(file.shapes, manifest)
    except FaultsError as error:
        options.refuse(f"{file.path}: {error}")


def _identity_provider(identity: Identity, url: str, clock: Clock) -> IdentityProvider:
    # Imported here: everybody else does without the packages for cryptography.
    from emulator.server.identity_provider import IdentityProvider, KeyFileError

    try:
        return IdentityProvider(url, clock, identity.key_file)
    except KeyFileError as error:
        options.refuse(str(error))
