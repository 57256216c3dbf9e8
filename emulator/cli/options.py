"""The options that commands share, and the functions that turn them into a manifest and containers."""

from __future__ import annotations

import enum
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer.core import TyperGroup

from emulator.containers import Containers, environment, process, ric
from emulator.containers.inline import InlineContainers
from emulator.containers.ric import RuntimeClient
from emulator.containers.worker import Worker
from emulator.containers.workers import Settings, WorkerContainers
from emulator.manifest.loader import Source
from emulator.manifest.model import Manifest
from emulator.manifest.yaml.document import ManifestError
from emulator.service.console import visible


class Runtime(enum.StrEnum):
    """What runs the functions."""

    WORKERS = "workers"
    RIC = "ric"
    INLINE = "inline"


ManifestPath = Annotated[Path, typer.Option("--manifest", help="The service's serverless.yml.")]
Stage = Annotated[str | None, typer.Option(help="What ${opt:stage} and ${sls:stage} mean in the manifest.")]
Params = Annotated[list[str], typer.Option("--param", help="NAME=VALUE for ${param:NAME}; 'ssm:/a=b' for ${ssm:/a}.")]
EnvFile = Annotated[Path | None, typer.Option(help="A file of NAME=VALUE lines for every function's environment.")]
PassEnv = Annotated[list[str], typer.Option(help="A variable of this shell that functions see too; 'AWS_*' for many.")]
RuntimeName = Annotated[
    Runtime,
    typer.Option(help="workers: processes of their own. ric: Amazon's runtime client in them. inline: no processes."),
]
NoTimeouts = Annotated[bool, typer.Option("--no-timeouts", help="Let functions run without a time limit: to debug.")]
Inline = Annotated[bool, typer.Option("--inline", help="The same as --runtime inline: for a debugger's breakpoints.")]
Python = Annotated[str, typer.Option(help="The Python that runs the functions; by default the emulator's own.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port; for a server 0 takes any free one.")]

MANIFEST = Path("serverless.yml")


def refuse(message: str) -> NoReturn:
    """Print one line that says what is wrong, and exit with code 1."""
    print(f"error: {visible(message)}", file=sys.stderr)
    raise typer.Exit(1)


def warn(message: str) -> None:
    """Print a warning."""
    print(f"warning: {visible(message)}", file=sys.stderr)


def described(source: Source) -> Manifest:
    """The manifest, for a command that describes it: its warnings are printed."""
    manifest = loaded(source)
    for warning in manifest.warnings:
        warn(warning)
    return manifest


def loaded(source: Source) -> Manifest:
    """The manifest; one that cannot be read ends the command with its error."""
    try:
        return source.load()
    except ManifestError as error:
        refuse(str(error))


def inherited(context: typer.Context) -> None:
    """Give the options that stand before a sub-command to it; those that it does not have are refused."""
    group, name = context.command, context.invoked_subcommand
    command = group.get_command(context, name) if isinstance(group, TyperGroup) and name else None
    if name is None or command is None:
        return
    taken = {parameter.name for parameter in command.params}
    given = {}
    for parameter in group.params:
        key = parameter.name or ""
        source = context.get_parameter_source(key)
        if source is None or source.name != "COMMANDLINE":
            continue
        if key not in taken:
            refuse(f"{parameter.opts[0]} has no effect on {name}: it is an option of the server")
        given[key] = context.params[key]
    context.default_map = {name: given}


def interpreter(python: str) -> str:
    """The absolute path of --python, after a check that it is a Python; empty for the emulator's own."""
    if not python:
        return ""
    found = shutil.which(python)
    if found is None:
        refuse(f"--python {python}: there is no such program")
    path = os.path.abspath(found)  # noqa: PTH100 - a virtual environment is found by the path of its link
    try:
        command = [path, "-c", "import sys; print('Python', *sys.version_info[:2])"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout  # noqa: S603
    except (OSError, ValueError, subprocess.TimeoutExpired):
        answer = ""
    if not answer.startswith("Python 3 "):
        refuse(f"--python {python}: this program is not a Python 3")
    return path


def added_environment(env_file: Path | None, pass_env: list[str]) -> dict[str, str]:
    """The variables that --env-file and --pass-env add to every function's environment."""
    try:
        return {**environment.passed(pass_env), **(environment.read(env_file) if env_file else {})}
    except environment.EnvFileError as error:
        refuse(str(error))


def containers(runtime: Runtime, manifest: Manifest, settings: Settings) -> Containers:
    """What runs the functions of this manifest."""
    if runtime is Runtime.INLINE:
        return InlineContainers(manifest, settings.extra, max(40, settings.max_containers), settings.endpoint)
    if runtime is Runtime.RIC and not settings.python and not ric.available():
        refuse("--runtime ric needs Amazon's runtime client: pip install awslambdaric")
    if settings.enforce_memory and not process.memory_is_known():
        refuse("--enforce-memory needs Linux's /proc: start without it")
    return WorkerContainers(manifest, settings, RuntimeClient if runtime is Runtime.RIC else Worker)
