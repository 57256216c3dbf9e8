"""The emulator of a round, in a process of its own: containers to kill, an HTTP client, and the schedule's call."""

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from shared.config import variable
from tests.emulator.harness import ROOT, Emulator, running
from tests.storage import Storage

_NAME = b"AWS_LAMBDA_FUNCTION_NAME="
_TIMEOUT = 60.0  # seconds; only a broken emulator needs as long


@contextmanager
def serving(folder: Path, storage: Storage, *options: str) -> Iterator[Emulator]:
    """The emulator of this project on a database, without a limit of messages; its output is in the folder."""
    service = folder / "service"
    service.symlink_to(ROOT)
    settings = {variable("database_url"): storage.url, variable("messages_per_minute"): "0"}
    passed = [option for name in settings for option in ("--pass-env", name)]
    with running(service, *passed, *options, env=settings) as emulator:
        yield emulator


def url(emulator: Emulator, scheme: str = "http") -> str:
    """Where it answers."""
    return f"{scheme}://127.0.0.1:{emulator.port}"


def http_client(emulator: Emulator) -> httpx.AsyncClient:
    """A client of the HTTP API."""
    limits = httpx.Limits(max_connections=40, max_keepalive_connections=40)
    return httpx.AsyncClient(base_url=url(emulator), timeout=_TIMEOUT, limits=limits, trust_env=False)


async def sweep(http: httpx.AsyncClient) -> None:
    """Call `deliver` as the schedule does, before its minute is over."""
    headers = {"X-Amz-Invocation-Type": "Event"}
    await http.post("/2015-03-31/functions/deliver/invocations", json={"source": "aws.events"}, headers=headers)


def kill_container(emulator: Emulator, choice: random.Random) -> str | None:
    """Kill a container with SIGKILL; return the name of its function, or None when there is none."""
    containers = list(_containers(emulator.process.pid))
    if not containers:
        return None
    pid, function = choice.choice(containers)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return None
    return function


def _containers(emulator: int) -> Iterator[tuple[int, str]]:
    """Process id and function of each container."""
    for thread in Path(f"/proc/{emulator}/task").iterdir():
        for child in (thread / "children").read_text().split():
            try:
                environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended
            for line in environment:
                if line.startswith(_NAME):
                    yield int(child), line.removeprefix(_NAME).decode().rpartition("-")[2]


def rows(storage: Storage) -> list[tuple[Any, ...]]:
    """What the tables have about connections: each of them, and each session whose count of them is not 0."""
    counts = "session_deliveries" if storage.kind == "sqlite" else "session_heads"
    connections, counted = storage.ask(
        [
            "SELECT session_id, user_id, connection_id, state FROM connections",
            f"SELECT session_id, 'connected', connected FROM {counts} WHERE connected <> 0",
        ]
    )
    return connections + counted
