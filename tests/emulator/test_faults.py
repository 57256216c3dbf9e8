"""Faults on purpose: what each kind does in each runtime, and which rules are refused."""

from __future__ import annotations

import dataclasses
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.manifest.loader import load
from emulator.manifest.model import Manifest
from emulator.service import faults
from emulator.service.faults import Faults, FaultsError
from emulator.service.request_book import Record
from tests.emulator.conftest import RUNTIMES
from tests.emulator.harness import Answer, Emulator, eventually, running, write_service
from tests.emulator.test_command_line import run

MANIFEST = """
service: broken
provider:
  name: aws
  stage: test
  httpApi:
    authorizers:
      asked: {type: request, functionName: allow, enableSimpleResponses: true, resultTtlInSeconds: 0,
              identitySource: $request.header.authorization}
functions:
  work: {handler: app.work, timeout: 5, events: [{httpApi: POST /work}, {httpApi: GET /work}, {http: POST /work}]}
  other: {handler: app.work, events: [{httpApi: GET /other}, {schedule: {rate: rate(1 day), name: daily}}]}
  allow: {handler: app.allow}
  guarded: {handler: app.work, events: [{httpApi: {path: /guarded, method: GET, authorizer: asked}}]}
"""
APP = """
import os, pathlib

calls = 0

def work(event, context):
    global calls
    calls += 1
    with pathlib.Path(__file__).with_name("done").open("a") as done:
        done.write("x")
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": '{"calls": %d}' % calls}

def allow(event, context):
    return {"isAuthorized": True}
"""
FAULTS = "/_emulator/faults"
INVOKE = "/2015-03-31/functions/work/invocations"
PROCESSES = [name for name in RUNTIMES if name != "inline"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_service(tmp_path_factory.mktemp("faults") / "service", MANIFEST, app=APP)


@pytest.fixture(scope="module", params=RUNTIMES)
def shared(request: pytest.FixtureRequest, folder: Path) -> Iterator[Emulator]:
    with running(folder, *RUNTIMES[request.param]) as started:
        started.request("POST", "/work", b"{}")
        yield started


@pytest.fixture
def started(shared: Emulator, folder: Path) -> Iterator[Emulator]:
    """An emulator on each runtime in turn, without rules; no work is done yet."""
    put(shared)
    (folder / "done").unlink(missing_ok=True)
    yield shared
    put(shared)


def put(emulator: Emulator, *rules: dict[str, Any]) -> Any:
    body = json.dumps({"rules": rules}).encode()
    answer = emulator.request("PUT", FAULTS, body, [("Content-Type", "application/json")])
    assert answer.status == 200, answer.body
    return answer.json


def work(emulator: Emulator, path: str = "/work") -> Answer:
    return emulator.request("POST", path, b"{}")


def done(folder: Path) -> int:
    """How often the function has done its work."""
    file = folder / "done"
    return len(file.read_text()) if file.exists() else 0


def logged(emulator: Emulator) -> str:
    return str(emulator.get("/_emulator/logs?function=work").json["entries"][-1]["text"])


def test_without_rules_no_answer_is_marked(started: Emulator) -> None:
    assert started.get(FAULTS).json == {"rules": [], "applied": []}
    assert work(started).header("emulator-fault") is None


def test_a_latency_comes_before_the_function(started: Emulator, folder: Path) -> None:
    put(started, {"function": "work", "kind": "latency", "milliseconds": 300})
    begun = time.monotonic()
    answer = work(started)
    assert (answer.status, answer.header("emulator-fault"), done(folder)) == (200, "latency", 1)
    assert time.monotonic() - begun >= 0.3


@pytest.mark.parametrize(
    ("rule", "status", "rest_status"),
    [
        ({"kind": "error", "status": 503}, 503, 503),
        ({"kind": "error"}, 500, 500),
        ({"kind": "exception"}, 500, 502),
        ({"kind": "timeout", "milliseconds": 1}, 503, 504),
        ({"kind": "throttle"}, 429, 429),
    ],
)
def test_instead_of_the_function_the_client_gets_the_fault(
    started: Emulator, folder: Path, rule: dict[str, Any], status: int, rest_status: int
) -> None:
    put(started, {"function": "work", **rule})
    for path, expected in (("/work", status), ("/test/work", rest_status)):
        answer = work(started, path)
        assert (answer.status, answer.header("emulator-fault")) == (expected, rule["kind"])
    assert done(folder) == 0


def test_a_timeout_takes_as_long_as_the_function_may(started: Emulator) -> None:
    put(started, {"function": "work", "kind": "timeout"})
    begun = time.monotonic()
    assert work(started).status == 503
    assert time.monotonic() - begun >= 5
    assert "Task timed out after 5.00 seconds" in logged(started)


@pytest.mark.parametrize("shared", PROCESSES, indirect=True)
@pytest.mark.parametrize(("kind", "calls"), [("kill-before", 0), ("kill-after", 1)])
def test_a_killed_process_gives_no_answer(started: Emulator, folder: Path, kind: str, calls: int) -> None:
    work(started)
    (folder / "done").unlink()
    put(started, {"function": "work", "kind": kind, "times": 1})
    answer = work(started)
    assert (answer.status, answer.header("emulator-fault"), done(folder)) == (500, kind, calls)
    assert "Error: Runtime exited" in logged(started)
    assert work(started).json == {"calls": 1}


@pytest.mark.parametrize("shared", PROCESSES, indirect=True)
def test_a_cold_start_each_time(started: Emulator) -> None:
    put(started, {"function": "work", "kind": "cold"})
    assert [work(started).json["calls"] for _ in range(2)] == [1, 1]
    assert "Init Duration" in logged(started)
    put(started)
    assert work(started).json["calls"] == 2


@pytest.mark.parametrize(("kind", "calls"), [("disconnect", 0), ("lost-answer", 1)])
def test_a_client_whose_answer_does_not_come(started: Emulator, folder: Path, kind: str, calls: int) -> None:
    put(started, {"function": "work", "kind": kind, "times": 2})
    for path in ("/work", INVOKE):
        with pytest.raises(http.client.RemoteDisconnected):
            work(started, path)
    assert done(folder) == calls * 2
    assert work(started).status == 200
    started.wait_for(f"(fault: {kind}")


def test_the_lambda_api_is_touched_too(started: Emulator) -> None:
    for kind, status in (("exception", 200), ("throttle", 429)):
        put(started, {"function": "work", "kind": kind})
        answer = work(started, INVOKE)
        assert (answer.status, answer.header("emulator-fault")) == (status, kind)
    assert work(started, INVOKE.replace("work", "other")).header("emulator-fault") is None


def test_a_rule_for_a_route_leaves_the_functions_other_routes_alone(started: Emulator) -> None:
    put(started, {"route": "POST /test/work", "kind": "error", "status": 418})
    assert (work(started, "/test/work").status, work(started).status, started.get("/work").status) == (418, 200, 200)
    put(started, {"route": "GET /work", "kind": "error", "status": 418})
    assert (work(started, "/test/work").status, work(started).status, started.get("/work").status) == (200, 200, 418)


def test_a_fault_of_the_authorizer_marks_the_answer(started: Emulator) -> None:
    put(started, {"function": "allow", "kind": "exception"})
    answer = started.get("/guarded", ("Authorization", "me"))
    assert (answer.status, answer.header("emulator-fault")) == (500, "exception")


def test_faults_that_add_up_and_the_first_of_the_others(started: Emulator) -> None:
    slow = {"function": "work", "kind": "latency", "milliseconds": 1}
    put(
        started,
        slow,
        {"function": "work", "kind": "error", "status": 418},
        {"function": "work", "kind": "throttle"},
        slow,
    )
    answer = work(started)
    assert (answer.status, answer.header("emulator-fault")) == (418, "latency, error")
    assert started.get(FAULTS).json["applied"] == [1, 1, 0, 1]


def test_a_fault_happens_so_many_times_and_what_was_shown_can_be_given_again(started: Emulator) -> None:
    rule = {"function": "work", "kind": "error", "status": 418, "times": 2}
    put(started, rule)
    assert [work(started).status for _ in range(3)] == [418, 418, 200]
    shown = started.get(FAULTS)
    assert shown.json == {"rules": [rule], "applied": [2]}
    assert started.request("PUT", FAULTS, shown.body).status == 200
    assert work(started).status == 418


def test_no_client_waits_for_a_schedule(started: Emulator) -> None:
    put(started, {"function": "other", "kind": "lost-answer"}, {"function": "other", "kind": "exception"})
    assert started.request("POST", "/_emulator/schedules/daily/runs", b"").status == 500
    assert started.get(FAULTS).json["applied"] == [0, 1]


def test_no_client_waits_for_an_asynchronous_invocation(started: Emulator, folder: Path) -> None:
    put(started, {"function": "work", "kind": "lost-answer"})
    answer = started.request("POST", INVOKE, b"{}", [("X-Amz-Invocation-Type", "Event")])
    eventually(lambda: done(folder) == 1)
    assert (answer.status, started.get(FAULTS).json["applied"]) == (202, [0])


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Manifest:
    return load(folder / "serverless.yml", {})


def rules(*given: dict[str, Any]) -> faults.Shapes:
    return faults.read(json.dumps({"rules": given}).encode())


def hits(manifest: Manifest, count: int, **rule: Any) -> list[bool]:
    found = Faults(isolated=True)
    found.set(rules({"function": "work", "kind": "error", **rule}), manifest)
    return [bool(found.draw(manifest.functions["work"])) for _ in range(count)]


def test_the_same_seed_hits_the_same_invocations(manifest: Manifest) -> None:
    found = hits(manifest, 1000, rate=0.25, seed=7)
    assert found == hits(manifest, 1000, rate=0.25, seed=7) != hits(manifest, 1000, rate=0.25, seed=8)
    assert 200 < sum(found) < 300


@pytest.mark.parametrize(
    ("given", "median", "p99"),
    [(40, 40, 40), ({"from": 100, "to": 300}, 200, 298), ({"median": 100, "p99": 1000}, 100, 1000)],
)
def test_how_long_a_latency_is(manifest: Manifest, given: object, median: float, p99: float) -> None:
    found = Faults(isolated=True)
    found.set(rules({"function": "work", "kind": "latency", "milliseconds": given}), manifest)
    drawn = sorted(found.rules[0].seconds() * 1000 for _ in range(10_000))
    assert drawn[5000] == pytest.approx(median, rel=0.1)
    assert drawn[9900] == pytest.approx(p99, rel=0.2)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"kind": "error"}, "rules[0].function: give either function or route"),
        ({"kind": "error", "function": "work", "route": "POST /work"}, "function: give either function or route"),
        (
            {"kind": "error", "function": "play"},
            "rules[0].function: there is no function 'play'; there are work, other",
        ),
        (
            {"kind": "error", "route": "PUT /work"},
            "rules[0].route: there is no route 'PUT /work'; there are POST /work",
        ),
        ({"kind": "melt", "function": "work"}, "Invalid enum value 'melt' - at `$.rules[0].kind`"),
        ({"function": "work"}, "missing required field `kind`"),
        ({"kind": "error", "function": "work", "rate": 0}, "rules[0].rate: must be above 0 and at most 1"),
        ({"kind": "error", "function": "work", "rate": "often"}, "`$.rules[0].rate`"),
        ({"kind": "error", "function": "work", "times": 0}, "rules[0].times: must be 1 or more"),
        ({"kind": "error", "function": "work", "status": 200}, "rules[0].status: must be from 400 to 599"),
        ({"kind": "throttle", "function": "work", "status": 429}, "rules[0].status: is of no use to the kind throttle"),
        ({"kind": "latency", "function": "work"}, "rules[0].milliseconds: a latency needs them"),
        ({"kind": "latency", "function": "work", "milliseconds": -1}, "milliseconds: must be from 0 to 900,000"),
        ({"kind": "latency", "function": "work", "milliseconds": {"to": 1}}, "milliseconds: must be a number"),
        ({"kind": "latency", "function": "work", "milliseconds": {"from": 2, "to": 1}}, "to must be at least from"),
        ({"kind": "latency", "function": "work", "milliseconds": {"median": 0, "p99": 1}}, "a median above 0"),
        ({"kind": "cold", "function": "work", "milliseconds": 1}, "milliseconds: are of no use to the kind cold"),
        ({"kind": "error", "function": "work", "often": 1}, "unknown field `often`"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused_by_its_field(
    manifest: Manifest, rule: dict[str, Any], message: str
) -> None:
    found = Faults(isolated=True)
    found.set(rules({"function": "work", "kind": "throttle"}), manifest)
    with pytest.raises(FaultsError) as caught:
        found.set(rules(rule), manifest)
    assert message in str(caught.value)
    assert [one.kind for one in found.rules] == ["throttle"]


def test_a_rule_for_a_route_of_a_stage_that_has_gone_hits_nothing(manifest: Manifest) -> None:
    found = Faults(isolated=True)
    found.set(rules({"route": "POST /test/work", "kind": "error"}), manifest)
    rest = next(route for route in manifest.routes if route.kind == "http")
    record = Record("POST", "/test/work", b"", [], [], 80, "127.0.0.1", 0.0, 0.0, route=rest)
    with faults.exchange(record):
        assert found.draw(rest.function)
        lines = found.take(dataclasses.replace(manifest, rest=dataclasses.replace(manifest.rest, stage="new")))
        assert "there is no route 'POST /test/work'" in lines[0]
        assert not found.draw(rest.function)


@pytest.mark.parametrize("kind", ["cold", "kill-before", "kill-after"])
def test_inline_functions_have_no_process_to_break(manifest: Manifest, kind: str) -> None:
    with pytest.raises(FaultsError, match=f"rules.0..kind: {kind} needs a process of the function's own"):
        Faults(isolated=False).set(rules({"function": "work", "kind": kind}), manifest)


def test_a_refused_rule_is_a_400(started: Emulator) -> None:
    for body in (b"", b"[]", b'{"rules": [{"kind": "error"}]}', b"[" * 100_000):
        assert started.request("PUT", FAULTS, body).status == 400


def test_a_rule_whose_function_has_gone_is_named(tmp_path: Path) -> None:
    folder = write_service(tmp_path / "service", MANIFEST, app=APP)
    with running(folder) as started:
        put(started, {"function": "other", "kind": "throttle"})
        write_service(folder, MANIFEST.replace("\n  other:", "\n  another:"))
        eventually(lambda: started.get("/_emulator/schedules").json["schedules"][0]["function"] == "another")
        started.wait_for("faults: rules[0].function: there is no function 'other'")
        assert work(started).status == 200


def test_the_command_shows_and_sets_the_rules(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text(json.dumps({"rules": [{"function": "work", "kind": "error", "status": 418, "times": 1}]}))
    with running(folder, "--faults", str(file)) as started:

        def told(*arguments: str) -> str:
            found = run("faults", *arguments, "--port", str(started.port))
            return found.stdout + found.stderr

        assert work(started).status == 418
        assert told() == "error  work  times 1  status 418  (1 so far)\n"
        added = told("add", "latency", "--route", "POST /work", "--milliseconds", "median:1,p99:2", "--rate", "0.5")
        assert "latency  POST /work  rate 0.5  milliseconds median:1,p99:2  (0 so far)\n" in added
        assert told("clear") == "no faults\n"
        assert told("load", str(file)) == "error  work  times 1  status 418  (0 so far)\n"
        for arguments, message in (
            (("add",), "add needs a kind"),
            (("add", "melt", "--function", "work"), "Invalid enum value 'melt'"),
            (("add", "latency", "--function", "work", "--milliseconds", "long"), "must be like 200, 100-900"),
            (("show", "--rate", "1"), "rate has no effect on show"),
            (("load", "missing.json"), "missing.json: No such file"),
        ):
            assert message in told(*arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "Input data was truncated"), ('{"rules": [{"kind": "error", "function": "play"}]}', "no function 'play'")],
)
def test_a_file_that_cannot_be_followed_is_refused_at_the_start(
    folder: Path, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "faults.json").write_text(text)
    found = run("--faults", str(tmp_path / "faults.json"), "--port", "0", "--manifest", str(folder / "serverless.yml"))
    assert (found.returncode, found.stdout) == (1, "")
    assert "faults.json: " in found.stderr
    assert message in found.stderr
