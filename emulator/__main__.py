"""The command line: `python -m emulator` serves a manifest's functions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emulator.cli import clock, commands, events, options, output, recordings, requests, snapshots, times
from emulator.cli import faults as faults_command
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
from emulator.containers.workers import Settings
from emulator.manifest.loader import Source
from emulator.service.request_book import RequestBook

Host = Annotated[str, typer.Option(help="Address to listen on; from beyond this machine everybody could call.")]
AllowHost = Annotated[
    list[str], typer.Option(help="A name besides localhost by which the Lambda API and the logs may be asked for.")
]
BeIdentityProvider = Annotated[
    bool, typer.Option("--identity", help="Be an identity provider too: an issuer whose tokens `token` prints.")
]
IdentityKey = Annotated[
    Path | None, typer.Option(help="Keep the issuer's private key in this file; made where it is missing.")
]
Page = Annotated[
    list[Path],
    typer.Option(metavar="FILE", help="An HTML file to serve too: app.html at /_emulator/app; read at each request."),
]
MaxContainers = Annotated[int, typer.Option(min=1, help="The most processes for one function.")]
QueueSeconds = Annotated[float, typer.Option(min=0, help="How long a request waits for a free one, before 429.")]
IdleSeconds = Annotated[float, typer.Option(min=0.1, help="After how long without a request a process ends.")]
Prewarm = Annotated[int, typer.Option(min=0, help="Processes of each function to start before any request.")]
RecordOption = Annotated[
    Path | None, typer.Option(help="Write every request with its answer to this file, for `replay`; it must not exist.")
]
KeepRequests = Annotated[int, typer.Option(min=0, help="How many of the latest requests are kept to be looked at.")]
KeepMegabytes = Annotated[int, typer.Option(min=1, help="How much memory they may take, more or less.")]
At = Annotated[
    str | None, typer.Option(help="The time that functions see at the start, such as 2026-11-22T08:00Z; it runs on.")
]
FaultsOption = Annotated[
    Path | None,
    typer.Option("--faults", help="A file of rules for what goes wrong on purpose, as for `faults load`."),
]
EnforceMemory = Annotated[bool, typer.Option("--enforce-memory", help="End a process that outgrows its memorySize.")]

WebSocketIdle = Annotated[
    float, typer.Option("--websocket-idle-seconds", min=0.1, help="When a WebSocket without frames is closed.")
]
WebSocketLife = Annotated[
    float, typer.Option("--websocket-life-seconds", min=0.1, help="When a WebSocket is closed in any case.")
]
MessagesInOrder = Annotated[
    bool, typer.Option("--messages-in-order", help="Process the messages of a WebSocket one after another.")
]

cli = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@cli.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Host = "127.0.0.1",
    allow_host: AllowHost = [],  # noqa: B006
    port: Port = 8080,
    manifest: ManifestPath = MANIFEST,
    stage: Stage = None,
    param: Params = [],  # noqa: B006
    env_file: EnvFile = None,
    pass_env: PassEnv = [],  # noqa: B006
    runtime: RuntimeName = options.Runtime.WORKERS,
    inline: Inline = False,
    no_timeouts: NoTimeouts = False,
    python: Python = Settings.python,
    max_containers: MaxContainers = Settings.max_containers,
    queue_seconds: QueueSeconds = Settings.queue_seconds,
    idle_seconds: IdleSeconds = Settings.idle_seconds,
    prewarm: Prewarm = Settings.prewarm,
    enforce_memory: EnforceMemory = Settings.enforce_memory,
    keep_requests: KeepRequests = RequestBook.NUMBER,
    keep_megabytes: KeepMegabytes = RequestBook.MEGABYTES,
    identity: BeIdentityProvider = False,
    identity_key: IdentityKey = None,
    at: At = None,
    page: Page = [],  # noqa: B006
    websocket_idle_seconds: WebSocketIdle = 600,
    websocket_life_seconds: WebSocketLife = 7200,
    messages_in_order: MessagesInOrder = False,
    faults: FaultsOption = None,
    record: RecordOption = None,
) -> None:
    """Serve a project's Python functions as AWS API Gateway and Lambda would, on this machine.

    Functions, routes, timeouts and environment come from serverless.yml and nowhere else. Each function runs
    in processes of its own, which stay warm and see the manifest's environment, not the shell's. Changed code
    runs at the next request. Stop with Ctrl-C: requests in flight are answered first. A second Ctrl-C ends
    at once.

    The Lambda API is on the same port: boto3 and the aws command line reach the functions with
    --endpoint-url http://127.0.0.1:8080.
    """
    if context.invoked_subcommand is not None:
        options.inherited(context)
        return
    settings = Settings(
        max_containers=max_containers,
        queue_seconds=queue_seconds,
        idle_seconds=idle_seconds,
        prewarm=prewarm,
        enforce_memory=enforce_memory,
        python=options.interpreter(python),
        extra=options.added_environment(env_file, pass_env),
    )
    # Imported here: what only calls or lists functions does without the server's packages.
    from emulator.cli.serve import FaultsFile, Identity, WebSockets, serve_until_stopped
    from emulator.gateway.websocket.connection import Limits

    runtime = options.Runtime.INLINE if inline else runtime
    provider = Identity(identity_key) if identity or identity_key else None
    source = Source(manifest, stage, param, no_timeouts)
    book = RequestBook(keep_requests, keep_megabytes)
    moment = None if at is None else times.moment("--at", at)
    websockets = WebSockets(Limits(websocket_idle_seconds, websocket_life_seconds), messages_in_order)
    first = None if faults is None else FaultsFile(faults, faults_command.read(faults)[1])
    serve_until_stopped(
        host, port, source, runtime, settings, allow_host, provider, book, moment, page, websockets, first, record
    )


cli.command("invoke")(commands.invoke)
cli.command("event")(events.event)
cli.command("routes")(commands.routes)
cli.command("logs")(commands.logs)
cli.command("requests")(requests.requests)
cli.command("record")(recordings.record)
cli.command("replay")(recordings.replay)
cli.command("snapshot")(snapshots.snapshot)
cli.command("resend")(requests.resend)
cli.command("schedules")(commands.schedules)
cli.command("clock")(clock.clock)
cli.command("faults")(faults_command.faults)
cli.command("token")(commands.token)
cli.command("openapi")(commands.describe)


def main(name: str | None = None) -> None:
    """Run the command line; `name` is what its help calls the program."""
    with output.checked():
        cli(prog_name=name)


if __name__ == "__main__":
    main("python -m emulator")
