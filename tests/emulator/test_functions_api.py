"""What the emulator tells about functions, and the events that it offers to try them with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulator.harness import Emulator, running, write_service

MANIFEST = """
service: told
provider: {name: aws, runtime: python3.13, environment: {STAGE: dev, API_TOKEN: t0psecret}}
functions:
  old: {handler: app.run, events: [{http: {method: any, path: "rooms/{room}"}}]}
  new: {handler: app.run, memorySize: 512, events: [{httpApi: "POST /rooms/{room+}"}, {schedule: rate(1 hour)}]}
"""
APP = "def run(event, context):\n    return {'statusCode': 200, 'body': ''}\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(write_service(tmp_path_factory.mktemp("functions") / "service", MANIFEST, app=APP)) as started:
        yield started


def events(emulator: Emulator, name: str) -> dict[str, Any]:
    return {one["name"]: one["event"] for one in emulator.get(f"/_emulator/functions/{name}/events").json["events"]}


def test_a_function_is_described_with_its_environments_and_without_secrets(served: Emulator) -> None:
    served.post("/rooms/1", {})
    told = served.get("/_emulator/functions").json
    new = next(one for one in told["functions"] if one["name"] == "new")
    assert (told["service"], told["stage"], new["memory"], new["handler"]) == ("told", "dev", 512, "app.run")
    assert new["environment"] == {"STAGE": "dev", "API_TOKEN": "****"}
    assert new["routes"] == [{"method": "POST", "path": "/rooms/{room+}", "api": "httpApi", "authorizer": None}]
    assert (new["containers"]["idle"], new["containers"]["busy"], new["containers"]["started"]) == (1, 0, 1)
    assert len(new["schedules"]) == 1


def test_a_sample_event_is_the_one_that_a_request_makes(served: Emulator) -> None:
    new, old = events(served, "new"), events(served, "old")
    assert new["POST /rooms/{room+}"]["pathParameters"] == {"room": "room"}
    assert new["POST /rooms/{room+}"]["version"] == "2.0"
    assert old["ANY /rooms/{room}"]["resource"] == "/rooms/{room}"
    assert old["ANY /rooms/{room}"]["requestContext"]["path"] == "/dev/rooms/room"
    assert {"sqs", "sns", "s3", "dynamodb", "kinesis", "eventBridge"} < set(new)
    assert served.get("/_emulator/functions/nobody/events").status == 404


def test_a_schedule_says_when_it_is_due_by_the_clock(served: Emulator) -> None:
    served.request("PUT", "/_emulator/clock", b'{"at": "2030-01-01T08:00:00Z", "running": false}')
    due = served.get("/_emulator/schedules").json["schedules"][0]["next"]
    served.request("DELETE", "/_emulator/clock")
    assert due.startswith("2030-01-01T09:00")
