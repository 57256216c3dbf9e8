"""The subcommands: call a function, list routes, read logs, run schedules, describe the API."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Annotated

import typer

from emulator.cli import batches, openapi, options, output
from emulator.cli.client import ask
from emulator.cli.options import (
    MANIFEST,
    EnvFile,
    Inline,
    ManifestPath,
    NoTimeouts,
    Params,
    PassEnv,
    Port,
    Python,
    RuntimeName,
    Stage,
)
from emulator.containers import Containers, Invocation, Outcome
from emulator.containers.workers import Settings
from emulator.manifest.loader import Source
from emulator.manifest.model import Function
from emulator.service import console, ids
from emulator.service.logs import LogBook

Name = Annotated[str, typer.Argument(help="A function of the manifest, by its name or ARN.")]
Data = Annotated[str | None, typer.Option(help="The event, as JSON.")]
EventFile = Annotated[Path | None, typer.Option("--event", help="A file with the event; - for standard input.")]
FunctionName = Annotated[str | None, typer.Option(help="Only this function's.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")]
User = Annotated[str, typer.Argument(help="The user whom the token names.")]
TokenRoles = Annotated[list[str], typer.Option("--role", help="A role of the user; may be given several times.")]
Audience = Annotated[str, typer.Option(help="The service that the token is for.")]
Seconds = Annotated[int, typer.Option(help="How long the token is valid; below 0 it has expired already.")]
Run = Annotated[str | None, typer.Option(help="Call this schedule's function now.")]


def invoke(
    name: Name,
    data: Data = None,
    event: EventFile = None,
    manifest: ManifestPath = MANIFEST,
    stage: Stage = None,
    param: Params = [],  # noqa: B006
    env_file: EnvFile = None,
    pass_env: PassEnv = [],  # noqa: B006
    runtime: RuntimeName = options.Runtime.WORKERS,
    inline: Inline = False,
    no_timeouts: NoTimeouts = False,
    python: Python = "",
) -> None:
    """Call one function once, without a server: its answer on standard output, its log on standard error.

    The exit code is 1 when the function failed.
    """
    service = options.loaded(Source(manifest, stage, param, no_timeouts))
    function = service.function(name)
    if function is None:
        options.refuse(f"there is no function {name!r}; there are {', '.join(service.functions)}")
    payload = _payload(data, event)
    settings = Settings(python=options.interpreter(python), extra=options.added_environment(env_file, pass_env))
    containers = options.containers(options.Runtime.INLINE if inline else runtime, service, settings)
    invocation = Invocation(ids.invocation(), payload)
    outcome = asyncio.run(_once(containers, function, invocation))
    outcome.log = b"" if outcome.shown else outcome.log
    sys.stderr.write(LogBook().record(function, invocation.request_id, outcome, time.time()).shown())
    if outcome.fault is None and (line := batches.report(payload, outcome.payload)):
        sys.stderr.write(f"{console.visible(line)}\n")
    output.write(console.visible_json(outcome.payload.decode(errors="replace")) + "\n")
    raise typer.Exit(0 if outcome.fault is None else 1)


def routes(manifest: ManifestPath = MANIFEST, stage: Stage = None, param: Params = []) -> None:  # noqa: B006
    """List the routes of a manifest: method, path, function, timeout."""
    service = options.described(Source(manifest, stage, param))
    if not service.routes and service.websocket is None:
        options.warn(f"{service.path}: no function has an httpApi, http or websocket event, so there are no routes")
    output.write("".join(f"{line}\n" for line in console.route_lines(service)))


def logs(function: FunctionName = None, follow: Follow = False, port: Port = 8080) -> None:
    """Print the log of a running emulator: START, the function's lines, END and REPORT."""
    # Ctrl-C is how a person stops following: no error, wherever it arrives.
    with contextlib.suppress(KeyboardInterrupt):
        _print_logs(function, port, follow=follow)


def _print_logs(function: str | None, port: int, *, follow: bool) -> None:
    after = 0
    while True:
        query = {"after": str(after), **({"function": function} if function else {})}
        answer = ask("GET", port, f"/_emulator/logs?{urllib.parse.urlencode(query)}")
        output.write("".join(entry["text"] for entry in answer["entries"]))
        after = answer["last"]
        if not follow:
            return
        time.sleep(0.3)


def schedules(run: Run = None, port: Port = 8080) -> None:
    """List the schedules of a running emulator, or call one's function now."""
    if run is not None:
        answer = ask("POST", port, f"/_emulator/schedules/{urllib.parse.quote(run, safe='')}/runs")
        output.write(json.dumps(answer) + "\n")
        return
    for one in ask("GET", port, "/_emulator/schedules")["schedules"]:
        state = "" if one["enabled"] else "  (disabled)"
        zone = "" if one["timezone"] == "UTC" else f" {one['timezone']}"
        output.write(f"{one['name']}  {one['expression']}{zone}  {one['function']}{state}\n")


def token(
    user: User,
    role: TokenRoles = [],  # noqa: B006
    audience: Audience = "emulator",
    seconds: Seconds = 8 * 3600,
    port: Port = 8080,
) -> None:
    """Print a token of a running emulator's identity provider (`--identity`)."""
    query = [("user", user), ("audience", audience), ("seconds", str(seconds)), *(("role", one) for one in role)]
    answer = ask("GET", port, f"/_emulator/idp/token?{urllib.parse.urlencode(query)}")
    console.write(answer["access_token"] + "\n")


def describe(manifest: ManifestPath = MANIFEST, stage: Stage = None, param: Params = []) -> None:  # noqa: B006
    """Print an OpenAPI 3.1 document of a manifest's routes."""
    service = options.described(Source(manifest, stage, param))
    output.write(json.dumps(openapi.document(service), indent=2) + "\n")


def _payload(data: str | None, event: Path | None) -> bytes:
    if data is not None and event is not None:
        options.refuse("--data and --event are two events: give one")
    try:
        text = data if event is None else sys.stdin.read() if str(event) == "-" else event.read_text(encoding="utf-8")
        json.loads(text or "{}")
    except OSError as error:
        options.refuse(f"{event}: {error.strerror}")
    except ValueError as error:
        options.refuse(f"the event is not JSON: {error}")
    return (text or "{}").encode()


async def _once(containers: Containers, function: Function, invocation: Invocation) -> Outcome:
    await containers.start()
    try:
        return await containers.invoke(function, invocation)
    finally:
        await containers.stop()
