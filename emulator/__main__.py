"""The command line: `python -m emulator` serves a manifest's functions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from emulator import console
from emulator.app import Application
from emulator.console import Console
from emulator.containers.inline import InlineContainers
from emulator.document import ManifestError
from emulator.gateway import Gateway
from emulator.loading import load
from emulator.manifest import Manifest
from emulator.server import PortTakenError, Server, listen

LOOPBACK = ("127.0.0.1", "::1", "localhost")

cli = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@cli.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's own can call every function.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")] = 8080,
    manifest: Annotated[Path, typer.Option(help="The service to run.")] = Path("serverless.yml"),
    stage: Annotated[str | None, typer.Option(help="What ${opt:stage} and ${sls:stage} mean in the manifest.")] = None,
) -> None:
    """Serve a project's Python functions as AWS API Gateway and Lambda would, on this machine.

    Functions, routes, timeouts and environment come from serverless.yml and nowhere else. Stop with Ctrl-C:
    requests in flight are answered first. A second Ctrl-C ends at once.
    """
    if context.invoked_subcommand is None:
        _serve(host, port, _manifest(manifest, stage))


def _manifest(path: Path, stage: str | None) -> Manifest:
    options = {} if stage is None else {"stage": stage}
    try:
        return load(path, options)
    except ManifestError as error:
        _refuse(str(error))


def _serve(host: str, port: int, manifest: Manifest) -> None:
    try:
        listener = listen(host, port)
    except PortTakenError as error:
        _refuse(str(error))
    for warning in manifest.warnings:
        _warn(warning)
    if host not in LOOPBACK:
        _warn(f"listening on {host}: whoever reaches this machine can call every function")
    shown = f"[{host}]" if ":" in host else host
    text = console.banner(manifest, f"http://{shown}:{listener.getsockname()[1]}", "inline")
    screen = Console()
    containers = InlineContainers(manifest, {}, 40)
    gateway = Gateway(manifest, containers, screen)
    application = Application(gateway, containers, screen)
    Server(application, ready=lambda: console.write(text), stopping=gateway.bodies.hurry).run([listener])


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _refuse(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(1)


if __name__ == "__main__":
    cli(prog_name="python -m emulator")
