"""The command that serves a project: from a manifest to a running server."""

from __future__ import annotations

from emulator.cli import options
from emulator.containers.workers import Settings
from emulator.gateway.gateway import Gateway
from emulator.manifest.loader import Source
from emulator.server.app import Application
from emulator.server.http_server import PortTakenError, Server, listen
from emulator.service import console
from emulator.service.console import Console
from emulator.service.functions import Functions
from emulator.service.logs import LogBook
from emulator.service.project import Project

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve_until_stopped(host: str, port: int, source: Source, runtime: options.Runtime, settings: Settings) -> None:
    """Serve until a signal comes; whatever is wrong beforehand is one line and the exit code 1."""
    manifest = options.loaded(source)
    containers = options.containers(runtime, manifest, settings)
    try:
        listener = listen(host, port)
    except PortTakenError as error:
        options.refuse(str(error))
    for warning in manifest.warnings:
        options.warn(warning)
    if host not in LOOPBACK:
        options.warn(f"listening on {host}: whoever reaches this machine can call every function")
    shown = f"[{host}]" if ":" in host else host
    text = console.banner(manifest, f"http://{shown}:{listener.getsockname()[1]}", runtime.value)
    screen = Console()
    project = Project(source, manifest, Functions(containers, LogBook(), screen), screen)
    gateway = Gateway(project)
    Server(Application(project, gateway), ready=lambda: console.write(text), stopping=gateway.begin_stop).run(
        [listener]
    )
