"""The command line: `python -m emulator` serves a manifest's functions."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from emulator import console
from emulator.app import Application
from emulator.console import Console
from emulator.containers import Containers, environment, ric
from emulator.containers.inline import InlineContainers
from emulator.containers.ric import RuntimeClient
from emulator.containers.worker import Worker
from emulator.containers.workers import Settings, WorkerContainers
from emulator.document import ManifestError
from emulator.gateway import Gateway
from emulator.invocations import Functions
from emulator.loading import Source
from emulator.logs import LogBook
from emulator.manifest import Manifest
from emulator.server import PortTakenError, Server, listen

LOOPBACK = ("127.0.0.1", "::1", "localhost")

cli = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class Runtime(enum.StrEnum):
    """What runs the functions."""

    WORKERS = "workers"
    RIC = "ric"
    INLINE = "inline"


Host = Annotated[str, typer.Option(help="Address to listen on; from beyond this machine everybody could call.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")]
ManifestPath = Annotated[Path, typer.Option("--manifest", help="The service to run.")]
Stage = Annotated[str | None, typer.Option(help="What ${opt:stage} and ${sls:stage} mean in the manifest.")]
Params = Annotated[list[str], typer.Option("--param", help="NAME=VALUE for ${param:NAME}; 'ssm:/a=b' for ${ssm:/a}.")]
EnvFile = Annotated[
    Path | None, typer.Option(help="A file of NAME=VALUE lines, added to every function's environment.")
]
PassEnv = Annotated[list[str], typer.Option(help="A variable of this shell that functions see too; AWS_* for many.")]
RuntimeName = Annotated[
    Runtime,
    typer.Option(help="workers: processes of their own. ric: Amazon's runtime client in them. inline: no processes."),
]
Inline = Annotated[bool, typer.Option("--inline", help="The same as --runtime inline: for a debugger's breakpoints.")]
MaxContainers = Annotated[int, typer.Option(min=1, help="The most processes for one function.")]
QueueSeconds = Annotated[float, typer.Option(min=0, help="How long a request waits for a free one, before 429.")]
IdleSeconds = Annotated[float, typer.Option(min=0.1, help="After how long without a request a process ends.")]
Prewarm = Annotated[int, typer.Option(min=0, help="Processes of each function to start before any request.")]
EnforceMemory = Annotated[bool, typer.Option("--enforce-memory", help="End a process that outgrows its memorySize.")]
Python = Annotated[str, typer.Option(help="The Python that runs the functions; by default the emulator's own.")]


@cli.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    manifest: ManifestPath = Path("serverless.yml"),
    stage: Stage = None,
    param: Params = [],  # noqa: B006
    env_file: EnvFile = None,
    pass_env: PassEnv = [],  # noqa: B006
    runtime: RuntimeName = Runtime.WORKERS,
    inline: Inline = False,
    max_containers: MaxContainers = 4,
    queue_seconds: QueueSeconds = 10,
    idle_seconds: IdleSeconds = 300,
    prewarm: Prewarm = 0,
    enforce_memory: EnforceMemory = False,
    python: Python = "",
) -> None:
    """Serve a project's Python functions as AWS API Gateway and Lambda would, on this machine.

    Functions, routes, timeouts and environment come from serverless.yml and nowhere else. Each function runs
    in processes of its own, which stay warm and see the manifest's environment, not the shell's. Changed code
    runs at the next request. Stop with Ctrl-C: requests in flight are answered first. A second Ctrl-C ends
    at once.
    """
    if context.invoked_subcommand is not None:
        return
    kind = Runtime.INLINE if inline else runtime
    settings = Settings(
        max_containers=max_containers,
        queue_seconds=queue_seconds,
        idle_seconds=idle_seconds,
        prewarm=prewarm,
        enforce_memory=enforce_memory,
        python=python,
        extra=_extra(env_file, pass_env),
    )
    _serve(host, port, Source(manifest, stage, param), kind, settings)


def _extra(env_file: Path | None, pass_env: list[str]) -> dict[str, str]:
    try:
        return {**environment.passed(pass_env), **(environment.read(env_file) if env_file else {})}
    except environment.EnvFileError as error:
        _refuse(str(error))


def _serve(host: str, port: int, source: Source, runtime: Runtime, settings: Settings) -> None:
    manifest = _loaded(source)
    try:
        listener = listen(host, port)
    except PortTakenError as error:
        _refuse(str(error))
    for warning in manifest.warnings:
        _warn(warning)
    if host not in LOOPBACK:
        _warn(f"listening on {host}: whoever reaches this machine can call every function")
    shown = f"[{host}]" if ":" in host else host
    text = console.banner(manifest, f"http://{shown}:{listener.getsockname()[1]}", runtime.value)
    screen = Console()
    functions = Functions(_containers(runtime, manifest, settings), LogBook(), screen)
    gateway = Gateway(manifest, functions, screen, source)
    application = Application(gateway, functions, screen)
    Server(application, ready=lambda: console.write(text), stopping=gateway.bodies.hurry).run([listener])


def _containers(runtime: Runtime, manifest: Manifest, settings: Settings) -> Containers:
    if runtime is Runtime.INLINE:
        return InlineContainers(manifest, settings.extra, max(40, settings.max_containers))
    if runtime is Runtime.RIC and not settings.python and not ric.available():
        _refuse("--runtime ric needs Amazon's runtime client: pip install awslambdaric")
    return WorkerContainers(manifest, settings, RuntimeClient if runtime is Runtime.RIC else Worker)


def _loaded(source: Source) -> Manifest:
    try:
        return source.load()
    except ManifestError as error:
        _refuse(str(error))


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _refuse(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(1)


if __name__ == "__main__":
    cli(prog_name="python -m emulator")
