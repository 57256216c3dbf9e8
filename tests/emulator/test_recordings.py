"""Recordings: written while the emulator serves, sent again, and compared."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.harness import ROOT, Emulator, eventually, running, write_service
from tests.emulator.test_command_line import run

MANIFEST = """
service: recorded
provider: {name: aws, runtime: python3.13}
functions:
  create: {handler: app.create, events: [{httpApi: POST /rooms}]}
  read: {handler: app.read, events: [{httpApi: "GET /rooms/{id}"}]}
  count: {handler: app.count, events: [{httpApi: GET /count}]}
  now: {handler: app.now, events: [{httpApi: GET /now}]}
  who: {handler: app.who, events: [{httpApi: GET /who}], url: true}
  tick: {handler: app.tick, events: [{schedule: rate(1 hour)}]}
"""
APP = """
import json, time, uuid
from pathlib import Path

rooms, calls = Path("rooms.json"), 0

def known():
    return json.loads(rooms.read_text()) if rooms.exists() else {}

def answer(value, status=200):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(value)}

def create(event, context):
    made = {"id": str(uuid.uuid4()), "name": json.loads(event["body"])["name"]}
    rooms.write_text(json.dumps({**known(), made["id"]: made}))
    return answer(made, 201)

def read(event, context):
    found = known().get(event["pathParameters"]["id"])
    return answer(found or {"error": "no such room"}, 200 if found else 404)

def count(event, context):
    global calls
    calls += 1
    return answer({"calls": calls})

def now(event, context):
    return answer({"second": int(time.time())})

def who(event, context):
    return answer({"who": event["headers"].get("authorization")})

def tick(event, context):
    Path("ticks").open("a").write("tick ")
"""


@pytest.fixture
def served(folder: Path) -> Iterator[Emulator]:
    with running(write_service(folder, MANIFEST, app=APP)) as started:
        yield started


def lesson(emulator: Emulator) -> None:
    made = emulator.post("/rooms", {"name": "Fractions"}).json
    assert emulator.get(f"/rooms/{made['id']}").json == made


def saved(emulator: Emulator, file: Path, *options: str) -> list[dict[str, Any]]:
    """Everything that the emulator has kept, in a file."""
    told = run("record", str(file), "--kept", *options, "--port", str(emulator.port))
    assert told.returncode == 0, told.stderr
    return [json.loads(line) for line in file.read_text().splitlines()]


def replay(emulator: Emulator, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run("replay", str(file), *options, "--port", str(emulator.port))


def test_a_recording_is_sent_again_with_the_ids_of_this_run(served: Emulator, tmp_path: Path) -> None:
    lesson(served)
    saved(served, tmp_path / "lesson")
    again = replay(served, tmp_path / "lesson")
    assert (again.returncode, again.stdout) == (0, "2 requests, 0 differ\n")
    assert served.get("/_emulator/requests").json["requests"][0]["status"] == 200


def test_a_difference_is_named_by_its_field_and_fails(served: Emulator, tmp_path: Path) -> None:
    served.get("/count")
    saved(served, tmp_path / "lesson")
    again = replay(served, tmp_path / "lesson")
    assert (again.returncode, again.stdout) == (1, "#1 GET /count\n  body.calls: 1 -> 2\n1 request, 1 differs\n")
    assert replay(served, tmp_path / "lesson", "--expect", "status").returncode == 0
    assert replay(served, tmp_path / "lesson", "--ignore", "body.calls").returncode == 0


def test_the_clock_shows_each_request_the_time_of_its_recording(served: Emulator, tmp_path: Path) -> None:
    for at in ("2026-11-22T08:00:00Z", "2026-11-22T09:30:00Z"):
        served.request("PUT", "/_emulator/clock", json.dumps({"at": at, "running": False}).encode())
        served.get("/now")
    saved(served, tmp_path / "lesson")
    served.request("DELETE", "/_emulator/clock")
    assert replay(served, tmp_path / "lesson").returncode == 1
    assert not (served.folder / "ticks").exists()
    again = replay(served, tmp_path / "lesson", "--at", "recorded", "--speed", "100000")
    assert (again.returncode, again.stdout) == (0, "2 requests, 0 differ\n")
    eventually(lambda: (served.folder / "ticks").exists())
    assert served.get("/_emulator/clock").json["offset_seconds"] == 0


def test_secrets_are_masked_and_can_be_given_or_kept(served: Emulator, tmp_path: Path) -> None:
    served.get("/who", ("Authorization", "Bearer s3cret"))
    saved(served, tmp_path / "masked")
    assert "Bearer" not in json.loads((tmp_path / "masked").read_text())["request"]["headers"]
    without = replay(served, tmp_path / "masked")
    assert (without.returncode, "Authorization is masked" in without.stderr) == (1, True)
    assert replay(served, tmp_path / "masked", "--header", "authorization: Bearer s3cret").returncode == 0
    served.get("/who", ("Authorization", "Bearer s3cret"))
    assert ["Authorization", "Bearer s3cret"] in saved(served, tmp_path / "kept", "--secrets")[-1]["request"]["headers"]
    assert replay(served, tmp_path / "kept", "--ignore", "body").returncode == 0


def test_a_request_to_another_port_is_left_out_and_told(served: Emulator, tmp_path: Path) -> None:
    found = {"id": 1, "time": "2026-11-22T08:00:00Z", "method": "GET", "path": "/", "api": "url"}
    found |= {"request": {"headers": [], "body": "", "base64": False}}
    found |= {"answer": {"status": 200, "headers": [], "body": "", "base64": False}}
    (tmp_path / "lesson").write_text(json.dumps(found))
    again = replay(served, tmp_path / "lesson")
    assert (again.returncode, "left out" in again.stderr) == (0, True)


def test_following_writes_requests_as_they_are_answered(served: Emulator, tmp_path: Path) -> None:
    served.get("/count")
    file, port = tmp_path / "lesson", str(served.port)
    command = [sys.executable, "-m", "emulator", "record", str(file), "--port", port]
    following = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert following.stdout is not None
    assert "recording to" in following.stdout.readline()
    served.get("/now")
    eventually(lambda: '"path": "/now"' in file.read_text())
    following.send_signal(signal.SIGINT)
    assert following.communicate()[0] == f"{file}: 1 request\n"
    assert following.returncode == 0


def test_the_option_records_from_the_start_to_the_end(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "lesson"
    with running(write_service(folder, MANIFEST, app=APP), "--inline", "--record", str(file)) as emulator:
        emulator.get("/now")
        emulator.get("/nowhere")
    assert [json.loads(line)["path"] for line in file.read_text().splitlines()] == ["/now", "/nowhere"]
    refused = run("--manifest", str(folder / "serverless.yml"), "--port", "0", "--record", str(file))
    assert (refused.returncode, refused.stderr) == (1, f"error: --record {file}: File exists\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "1: this is not JSON"),
        ("[]", "1: this is no request"),
        ('{"id": 1}', "1: time is missing"),
        ('{"lost": 3}', "3 requests are missing here"),
    ],
)
def test_a_file_that_is_no_recording_is_refused_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "lesson").write_text(text)
    refused = run("replay", str(tmp_path / "lesson"), "--port", "1")
    assert (refused.returncode, reason in refused.stderr) == (1, True), refused.stderr


@pytest.mark.parametrize("query", ["follow=2", "secrets=yes", "after=x", "until=3"])
def test_a_recordings_query_that_means_nothing_is_refused(served: Emulator, query: str) -> None:
    assert served.get(f"/_emulator/recording?{query}").status == 400
