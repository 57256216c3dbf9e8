"""The command that serves a project: from a manifest to a running server."""

from __future__ import annotations

from collections.abc import Iterable

from emulator.cli import options
from emulator.containers.workers import Settings
from emulator.gateway.gateway import Gateway
from emulator.manifest.loader import Source
from emulator.server.access import is_loopback
from emulator.server.app import Application
from emulator.server.http_server import PortTakenError, Server, listen
from emulator.service import console
from emulator.service.console import Console
from emulator.service.functions import Functions
from emulator.service.logs import LogBook
from emulator.service.project import Project


def serve_until_stopped(
    host: str,
    port: int,
    source: Source,
    runtime: options.Runtime,
    settings: Settings,
    allow_hosts: Iterable[str] = (),
) -> None:
    """Serve until a signal comes; whatever is wrong beforehand is one line and the exit code 1.

    The emulator's own routes answer for a loopback host, for `host`, and for those of `allow_hosts`.
    """
    manifest = options.loaded(source)
    containers = options.containers(runtime, manifest, settings)
    try:
        listener = listen(host, port)
    except PortTakenError as error:
        options.refuse(str(error))
    for warning in manifest.warnings:
        options.warn(warning)
    if not is_loopback(host):
        options.warn(f"listening on {host}: whoever reaches this machine can call every function")
    shown = f"[{host}]" if ":" in host else host
    text = console.banner(manifest, f"http://{shown}:{listener.getsockname()[1]}", runtime.value)
    screen = Console()
    project = Project(source, manifest, Functions(containers, LogBook(), screen), screen)
    application = Application(project, Gateway(project), (host, *allow_hosts))
    Server(application, ready=lambda: console.write(text), stopping=application.begin_stop).run([listener])
