"""The clock of the emulator: what functions see of it in each runtime, and what goes by it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator.cli import times
from emulator.containers import Invocation, Outcome
from emulator.containers.container import Owner
from emulator.containers.worker import Worker
from emulator.containers.workers import Settings, WorkerContainers
from emulator.manifest.loader import load
from emulator.runtime.time_travel import REAL, Timeline
from emulator.service import travel
from emulator.service.clock import Clock
from tests.emulator.conftest import RUNTIMES
from tests.emulator.harness import Answer, Emulator, assert_just_now, eventually, running, write_service
from tests.emulator.test_command_line import run
from tests.emulator.test_identity import free_port

MANIFEST = """
service: timed
provider:
  name: aws
  httpApi:
    authorizers:
      kept: {type: request, functionName: allow, enableSimpleResponses: true, resultTtlInSeconds: 300,
             identitySource: $request.header.authorization}
functions:
  see: {handler: app.see, timeout: 20, events: [{httpApi: GET /see}]}
  span: {handler: app.span, timeout: 20, events: [{httpApi: GET /span}]}
  slow: {handler: app.slow, timeout: 1, events: [{httpApi: GET /slow}]}
  allow: {handler: app.allow}
  guarded: {handler: app.see, events: [{httpApi: {path: /guarded, method: GET, authorizer: kept}}]}
  tick:
    handler: app.tick
    events:
      - schedule: {rate: rate(10 minutes), name: often}
      - schedule: {rate: "cron(30 8 * * ? *)", name: half}
      - schedule: {rate: rate(10 minutes), name: never, enabled: false}
  minute: {handler: app.tick, events: [{schedule: {rate: rate(1 minute), name: minutes, enabled: false}}]}
"""
APP = """
import asyncio, datetime, logging, os, pathlib, time, uuid

imported = datetime.datetime.now(datetime.timezone.utc).isoformat()
calls = 0

def see(event, context):
    global calls
    calls += 1
    begun = time.monotonic()
    asyncio.run(asyncio.sleep(0.01))
    time.sleep(0.01)
    return {
        "time": time.time(),
        "nanoseconds": time.time_ns(),
        "utc": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "day": datetime.date.today().isoformat(),
        "gmtime": time.strftime("%Y-%m-%dT%H:%M", time.gmtime()),
        "record": logging.makeLogRecord({}).created,
        "uuid": uuid.uuid1().time,
        "slept": time.monotonic() - begun,
        "left": context.get_remaining_time_in_millis(),
        "epoch": event["requestContext"]["timeEpoch"],
        "requested": event["requestContext"]["time"],
        "imported": imported,
        "calls": calls,
        "pid": os.getpid(),
        "library": "time_machine" in __import__("sys").modules,
    }

def span(event, context):
    begun = time.time()
    pathlib.Path(__file__).with_name("begun").touch()
    while not pathlib.Path(__file__).with_name("go").exists():
        time.sleep(0.01)
    return time.time() - begun

def slow(event, context):
    time.sleep(5)

def allow(event, context):
    return {"isAuthorized": True, "context": {"asked": time.time()}}

def tick(event, context):
    print("tick at", datetime.datetime.now(datetime.timezone.utc).isoformat(), "for", event["time"])
    return event["time"]
"""
EIGHT = "2026-11-22T08:00:00.000000Z"
CLOCK = "/_emulator/clock"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_service(tmp_path_factory.mktemp("clock") / "service", MANIFEST, app=APP)


@pytest.fixture(scope="module", params=RUNTIMES)
def shared(request: pytest.FixtureRequest, folder: Path) -> Iterator[Emulator]:
    with running(folder, *RUNTIMES[request.param]) as started:
        yield started


@pytest.fixture
def started(shared: Emulator) -> Iterator[Emulator]:
    """An emulator on each runtime in turn, at the system's time."""
    yield shared
    put(shared, "DELETE")


@pytest.fixture(scope="module")
def workers(folder: Path) -> Iterator[Emulator]:
    with running(folder) as started:
        yield started


@pytest.fixture
def served(workers: Emulator) -> Iterator[Emulator]:
    """An emulator with worker processes, at the system's time."""
    yield workers
    put(workers, "DELETE")


def put(emulator: Emulator, method: str = "PUT", path: str = CLOCK, **values: Any) -> Answer:
    body = json.dumps(values).encode() if values else b""
    return emulator.request(method, path, body, [("Content-Type", "application/json")])


def advance(emulator: Emulator, seconds: float) -> Any:
    answer = put(emulator, "POST", f"{CLOCK}/advance", seconds=seconds)
    assert answer.status == 200, answer.body
    return answer.json


def seen(emulator: Emulator) -> Any:
    return emulator.get("/see").json


def test_the_clock_is_the_systems_until_it_is_set(started: Emulator) -> None:
    shown = started.get(CLOCK).json
    assert (shown["running"], shown["offset_seconds"]) == (True, 0.0)
    assert abs(datetime.fromisoformat(shown["now"]).timestamp() - time.time()) < 60
    found = seen(started)
    assert_just_now(found["requested"], found["epoch"])


def test_functions_see_a_clock_that_stands_everywhere_but_in_monotonic_clocks(started: Emulator) -> None:
    assert put(started, at="2026-11-22T09:00+01:00", running=False).json["now"] == EIGHT
    found = seen(started)
    moment = datetime.fromisoformat(EIGHT)
    assert (found["time"], found["nanoseconds"]) == (moment.timestamp(), int(moment.timestamp()) * 10**9)
    assert (found["utc"], found["day"], found["gmtime"]) == (moment.isoformat(), "2026-11-22", "2026-11-22T08:00")
    assert (found["record"], found["epoch"]) == (moment.timestamp(), int(moment.timestamp() * 1000))
    assert found["requested"] == "22/Nov/2026:08:00:00 +0000"
    gregorian = datetime(1582, 10, 15, tzinfo=UTC)
    assert gregorian + timedelta(microseconds=found["uuid"] // 10) - moment < timedelta(milliseconds=1)
    assert 0.02 <= found["slept"] < 15
    assert 0 < found["left"] < 20_000


def test_the_same_process_sees_the_clock_advance(started: Emulator) -> None:
    put(started, at=EIGHT, running=False)
    before = seen(started)
    advanced = advance(started, 2700.25)
    after = seen(started)
    assert advanced["now"] == "2026-11-22T08:45:00.250000Z"
    assert after["time"] - before["time"] == 2700.25
    assert (after["pid"], after["calls"]) == (before["pid"], before["calls"] + 1)


def test_a_clock_that_runs_goes_on_from_its_time(started: Emulator) -> None:
    begun = time.monotonic()
    put(started, at=EIGHT, running=True)
    first, second = seen(started)["time"], seen(started)["time"]
    assert 0 <= first - datetime.fromisoformat(EIGHT).timestamp() < time.monotonic() - begun
    assert 0.02 <= second - first < time.monotonic() - begun
    frozen = put(started, running=False).json
    assert (started.get(CLOCK).json["now"], frozen["running"]) == (frozen["now"], False)


def test_back_at_the_systems_time_nothing_is_left_of_the_journey(started: Emulator) -> None:
    put(started, at=EIGHT, running=False)
    seen(started)
    assert put(started, "DELETE").json["offset_seconds"] == 0.0
    assert abs(seen(started)["time"] - time.time()) < 60


def test_modules_are_imported_at_the_time_of_the_clock(folder: Path) -> None:
    for options in RUNTIMES.values():
        with running(folder, "--at", "2030-01-01T00:00Z", *options) as started:
            assert seen(started)["imported"].startswith("2030-01-01T00:0")
            assert started.get(CLOCK).json["running"]


def test_the_library_is_imported_where_the_clock_was_moved_alone(folder: Path) -> None:
    for options in RUNTIMES.values():
        with running(folder, *options) as started:
            assert not seen(started)["library"]
            put(started, at=EIGHT, running=False)
            assert seen(started)["library"]


def test_an_invocation_that_runs_keeps_its_clock_where_it_has_a_process(started: Emulator, folder: Path) -> None:
    for name in ("begun", "go"):
        (folder / name).unlink(missing_ok=True)
    put(started, at=EIGHT, running=False)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(started.get, "/span")
        eventually((folder / "begun").exists)
        advance(started, 60)
        (folder / "go").touch()
        assert answer.result().json == (60 if "--inline" in started.options else 0)
    assert seen(started)["gmtime"] == "2026-11-22T08:01"


def test_a_time_limit_is_real_while_the_clock_stands(started: Emulator) -> None:
    put(started, at=EIGHT, running=False)
    assert started.get("/slow").status == 503
    assert f"{EIGHT[:19]}.000Z" in started.get("/_emulator/logs?function=slow").json["entries"][-1]["text"]


def test_schedules_that_fall_due_run_in_order_each_at_its_time(started: Emulator) -> None:
    put(started, at="2026-11-22T08:05Z", running=False)
    ran = advance(started, 1800)["ran"]
    assert [(one["schedule"], one["time"][11:19], one["result"]) for one in ran] == [
        ("often", "08:15:00", "ok"),
        ("often", "08:25:00", "ok"),
        ("half", "08:30:00", "ok"),
        ("often", "08:35:00", "ok"),
    ]
    told = "".join(one["text"] for one in started.get("/_emulator/logs?function=tick").json["entries"])
    assert "tick at 2026-11-22T08:30:00+00:00 for 2026-11-22T08:30:00Z" in told
    assert advance(started, 1)["ran"] == []


def test_an_authorizers_answer_is_kept_for_its_time_on_the_clock(served: Emulator) -> None:
    put(served, at=EIGHT, running=False)
    header = ("Authorization", "me")
    assert served.get("/guarded", header).status == 200
    before = len(served.get("/_emulator/logs?function=allow").json["entries"])
    for seconds, calls in ((299, 0), (2, 1)):
        advance(served, seconds)
        served.get("/guarded", header)
        assert len(served.get("/_emulator/logs?function=allow").json["entries"]) == before + calls


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"at": "2026-11-22T08:00", "running": True}, "at: '2026-11-22T08:00' has no time zone: end it with Z"),
        ({"at": "yesterday"}, "at: 'yesterday' is no time such as"),
        ({"at": "1699-01-01T00:00Z"}, "at: must be from 1970-01-01T00:00:00.000000Z until before 2100-"),
        ({"at": "0001-01-01T00:00+14:00"}, "at: must be from 1970-"),
        ({"at": "9999-12-31T23:59-14:00"}, "at: must be from 1970-"),
        ({"at": 5}, "Expected `str | null`, got `int` - at `$.at`"),
        ({"running": "no"}, "Expected `bool | null`, got `str` - at `$.running`"),
        ({"frozen": True}, "unknown field `frozen`"),
        ({}, "at or running is missing"),
    ],
)
def test_a_time_that_cannot_be_shown_is_refused(served: Emulator, values: dict[str, Any], message: str) -> None:
    answer = served.request("PUT", CLOCK, json.dumps(values).encode())
    assert answer.status == 400
    assert message in answer.json["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"seconds": -1}', "seconds: must be above 0: time passes forward only"),
        (b'{"seconds": 0}', "seconds: must be above 0"),
        (b'{"seconds": 1e300}', "seconds: leads to 2100-01-01T00:00:00.000000Z or beyond it"),
        (b'{"seconds": 1e999}', "out of range"),
        (b'{"seconds": NaN}', "malformed"),
        (b'{"seconds": null}', "Expected `float`"),
        (b"{}", "missing required field `seconds`"),
        (b"[" * 100_000, ""),
    ],
)
def test_an_advance_that_leads_nowhere_is_refused(served: Emulator, body: bytes, message: str) -> None:
    answer = served.request("POST", f"{CLOCK}/advance", body)
    assert answer.status == 400
    assert message in answer.json["message"]


def test_a_journey_back_says_what_does_not_go_back(served: Emulator) -> None:
    assert "note" in put(served, at=EIGHT, running=False).json
    assert "note" not in put(served, running=True).json
    assert "note" not in put(served, at="2030-01-01T00:00Z").json
    assert "`snapshot load`" in put(served, "DELETE").json["note"]


def test_a_schedule_is_not_called_for_the_times_that_are_jumped_over(served: Emulator) -> None:
    put(served, at=EIGHT, running=False)
    before = len(served.get("/_emulator/logs?function=tick").json["entries"])
    put(served, at="2026-11-23T08:29Z")
    assert [one["schedule"] for one in advance(served, 90)["ran"]] == ["half"]
    assert len(served.get("/_emulator/logs?function=tick").json["entries"]) == before + 1


def test_an_advance_has_a_limit_and_says_what_it_left_out(tmp_path: Path) -> None:
    manifest = MANIFEST.replace("name: minutes, enabled: false", "name: minutes")
    with running(write_service(tmp_path / "service", manifest, app=APP), "--at", EIGHT) as started:
        put(started, running=False)
        answer = advance(started, 3 * 86_400)
        assert answer["now"].startswith("2026-11-25T08:00:0")
        assert len(answer["ran"]) <= travel.MOST_RUNS
        assert {"minutes", "often", "half"} == set(answer["left_out"])
        assert f"what was due after {answer['ran'][-1]['time']} did not run" in answer["note"]
        assert [one["schedule"] for one in advance(started, 61)["ran"]] == ["minutes"]
        called = [one["schedule"] for one in answer["ran"]].count("minutes") + 1
        eventually(lambda: started.output().count("SCHEDULE rate(1 minute)") >= called)
        assert started.output().count("SCHEDULE rate(1 minute)") == called


def test_tokens_expire_by_the_clock(tmp_path: Path) -> None:
    manifest = """
service: timed
provider:
  name: aws
  httpApi:
    authorizers:
      school: {{type: jwt, issuerUrl: "{url}", audience: emulator, identitySource: $request.header.Authorization}}
functions:
  see: {{handler: app.see, events: [{{httpApi: {{path: /see, method: GET, authorizer: school}}}}]}}
"""
    folder = write_service(tmp_path / "service", manifest.format(url="${param:url}"), app=APP)
    port = free_port()
    options = ("--port", str(port), "--identity", "--param", f"url=http://127.0.0.1:{port}/_emulator/idp")
    with running(folder, *options) as started:
        put(started, at="2031-05-06T07:00Z", running=False)
        token = started.get("/_emulator/idp/token?user=ann&seconds=60").json["access_token"]
        header = ("Authorization", f"Bearer {token}")
        found = started.get("/see", header)
        assert (found.status, found.json["gmtime"]) == (200, "2031-05-06T07:00")
        advance(started, 61)
        assert b"has expired" in dict(started.get("/see", header).headers)["www-authenticate"].encode()
        put(started, at="2031-05-06T06:00Z")
        assert "not yet valid" in dict(started.get("/see", header).headers)["www-authenticate"]


def test_the_command_moves_the_clock(served: Emulator) -> None:
    def clock(*arguments: str) -> tuple[int, str, str]:
        told = run("clock", *arguments, "--port", str(served.port))
        return told.returncode, told.stdout, told.stderr

    assert clock()[1].endswith("  running  the system's time\n")
    code, told, warning = clock("freeze", "2026-11-22T08:05Z")
    assert (code, told[:35]) == (0, "2026-11-22T08:05:00.000000Z  frozen")
    assert "snapshot load" in warning
    assert clock("advance", "20m")[1].splitlines()[:2] == [
        "2026-11-22T08:15:00.000000Z  tick  ok  often",
        "2026-11-22T08:25:00.000000Z  tick  ok  often",
    ]
    assert clock("run", "2031-01-01T00:00Z")[1].startswith("2031-01-01T00:00:0")
    assert clock("reset")[1].endswith("  running  the system's time\n")
    served.wait_for("CLOCK   2026-11-22T08:05:00.000000Z  frozen")
    for arguments, message in (
        (("advance",), "advance needs a duration"),
        (("advance", "tomorrow"), "'tomorrow' is no duration such as 45m"),
        (("reset", "8"), "reset takes no value"),
        (("freeze", "2026-11-22"), "has no time zone"),
    ):
        code, _, error = clock(*arguments)
        assert code == 1
        assert message in error


def test_a_start_at_no_time_is_refused(folder: Path) -> None:
    told = run("--at", "noon", "--port", "0", "--manifest", str(folder / "serverless.yml"))
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == "error: --at: 'noon' is no time such as 2026-11-22T08:00Z\n"


def test_an_interpreter_without_the_library_keeps_the_systems_time(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{__import__("sys")._base_executable}" -I "$@"\n')
    python.chmod(0o755)
    with running(write_service(tmp_path / "service", MANIFEST, app=APP), "--python", str(python)) as started:
        answer = put(started, at=EIGHT, running=False)
        assert answer.status == 400
        assert "has no package time-machine" in answer.json["message"]
        assert abs(seen(started)["time"] - time.time()) < 60


def test_a_process_that_is_just_starting_sees_the_time_to_which_the_clock_moves(folder: Path) -> None:
    made: list[Worker] = []

    def make(owner: Owner) -> Worker:
        made.append(Worker(owner))
        return made[-1]

    async def work() -> bytes:
        manifest, moved = load(folder / "serverless.yml", {}), Timeline(running=False, nanoseconds=10**18)
        containers = WorkerContainers(manifest, Settings(), make)
        await containers.follow(moved)  # the first time it asks the interpreter, which takes a while
        await containers.follow(REAL)
        call = asyncio.ensure_future(containers.invoke(manifest.functions["tick"], Invocation("1", b'{"time": ""}')))
        while not made or not made[0].process.pid:
            await asyncio.sleep(0)
        await containers.follow(moved)
        outcome = await call
        await containers.stop()
        return outcome.log

    assert b"tick at 2001-09-09T01:46:40+00:00" in asyncio.run(work())


class Still:
    """Containers that run nothing."""

    paused = False
    isolated = True

    async def start(self) -> None:
        """Nothing to start."""

    async def invoke(self, *_: Any) -> Outcome:
        """Nothing to run."""
        raise NotImplementedError

    def replace(self, *_: Any) -> None:
        """Nothing to replace."""

    def figures(self, *_: Any) -> None:
        """It has no environments."""

    async def follow(self, *_: Any) -> None:
        """Nothing to show."""

    async def stop(self) -> None:
        """Nothing to stop."""


def test_a_clock_that_was_never_set_is_the_one_of_the_system() -> None:
    clock = Clock(Still())
    assert (clock.time, clock.monotonic) == (time.time, time.monotonic)


async def settled() -> None:
    """Every task has run until it waits for the clock again."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_sleeps_on_the_clock_wakes_when_time_has_passed_there() -> None:
    async def work() -> None:
        clock = Clock(Still())
        await clock.show(datetime.fromisoformat(EIGHT), running=False)
        begun = clock.monotonic()
        asleep = asyncio.create_task(clock.sleep(600))
        until = asyncio.create_task(clock.sleep_until(datetime.fromisoformat("2026-11-22T08:10Z")))
        await settled()
        for moment, done in (("08:09:59", False), ("07:00:00", False), ("07:00:02", True)):
            await clock.show(datetime.fromisoformat(f"2026-11-22T{moment}Z"), running=False)
            await settled()
            assert asleep.done() is done
        assert (clock.monotonic() - begun, until.done()) == (601.0, False)
        await clock.reset()
        await until

    asyncio.run(work())


@pytest.mark.parametrize(
    ("text", "seconds"), [("45m", 2700), ("1h30m", 5400), ("0.5s", 0.5), ("2d", 172_800), ("90s", 90)]
)
def test_durations_as_a_person_writes_them(text: str, seconds: float) -> None:
    assert times.seconds(text) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0s"), (-61, "1m1s"), (90_061, "1d1h"), (86_401, "1d1s")])
def test_distances_in_their_largest_units(seconds: float, text: str) -> None:
    assert times.distance(seconds) == text
