"""The gateway's own time limit, with containers that a test makes up."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from emulator.containers import Invocation, Outcome
from emulator.gateway.apis import HttpApi
from emulator.gateway.gateway import Gateway
from emulator.gateway.rest.rest_api import RestApi
from emulator.manifest.loader import Source
from emulator.manifest.model import Function, Manifest
from emulator.runtime.time_travel import Timeline
from emulator.service.console import Console
from emulator.service.functions import Functions
from emulator.service.logs import LogBook
from emulator.service.project import Project

MANIFEST = """
service: patient
functions:
  long: {handler: app.long, timeout: 900, events: [{httpApi: GET /long}, {http: GET /long}]}
"""


class Slow:
    """Containers whose functions take their time."""

    paused = False
    isolated = True

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.finished = 0

    async def start(self) -> None:
        """Nothing to start."""

    async def invoke(self, function: Function, invocation: Invocation) -> Outcome:
        """Answer late."""
        await asyncio.sleep(self.seconds)
        self.finished += 1
        return Outcome(b'{"statusCode": 200, "body": "done"}')

    def figures(self, function: Function) -> None:
        """It has no environments."""

    def replace(self, manifest: Manifest) -> None:
        """Nothing to replace."""

    async def follow(self, timeline: Timeline) -> None:
        """Nothing to show."""

    async def stop(self) -> None:
        """Nothing to stop."""


async def ask(gateway: Gateway, path: str) -> tuple[int, Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("there is no body to ask for")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "raw_path": path.encode(), "query_string": b"", "headers": []}
    await gateway({**scope, "http_version": "1.1", "client": None, "server": None}, receive, send)
    return sent[0]["status"], sent[1]["body"]


def gateway(tmp_path: Path, containers: Slow) -> Gateway:
    path = tmp_path / "serverless.yml"
    path.write_text(MANIFEST)
    source, console = Source(path), Console(quiet=True)
    return Gateway(Project(source, source.load(), Functions(containers, LogBook(), console), console))


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [("/long", 503, "Service Unavailable"), ("/dev/long", 504, "Endpoint request timed out")],
)
def test_a_function_may_run_longer_than_the_gateway_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, status: int, message: str
) -> None:
    monkeypatch.setattr(HttpApi, "timeout", 0.05)
    monkeypatch.setattr(RestApi, "timeout", 0.05)
    containers = Slow(0.2)

    async def run() -> None:
        found, body = await ask(gateway(tmp_path, containers), path)
        assert (found, json.loads(body)) == (status, {"message": message})
        assert containers.finished == 0
        await asyncio.sleep(0.3)
        assert containers.finished == 1  # nobody waits for it, but it runs to its end

    asyncio.run(run())


def test_an_answer_within_the_limit_arrives(tmp_path: Path) -> None:
    found, body = asyncio.run(ask(gateway(tmp_path, Slow(0)), "/long"))
    assert (found, body) == (200, b"done")


def test_the_limits_are_the_gateways() -> None:
    assert (HttpApi.timeout, RestApi.timeout) == (30.0, 29.0)
