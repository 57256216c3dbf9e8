"""Invocations of the type Event: attempts after a failure, and destinations."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.harness import Emulator, eventually, running, write_service
from tests.emulator.test_command_line import run

MANIFEST = """
service: later
provider: {name: aws, region: eu-west-1}
functions:
  twice: {handler: app.twice, destinations: {onSuccess: sink, onFailure: sink}}
  never: {handler: app.never, timeout: 1, maximumRetryAttempts: 1, destinations: {onFailure: sink}}
  once:
    handler: app.never
    maximumRetryAttempts: 0
    destinations: {onFailure: {type: function, arn: {Fn::GetAtt: [SinkLambdaFunction, Arn]}}}
  three: {handler: app.never}
  sink: {handler: app.sink}
  loop: {handler: app.loop, destinations: {onSuccess: loop}}
  away: {handler: app.sink, destinations: {onSuccess: {type: sqs, arn: "arn:aws:sqs:eu-west-1:1:q"}, onFailure: gone}}
  deep: {handler: app.deep, destinations: {onSuccess: sink}}
"""
APP = """
import json, os, pathlib, time
HERE = pathlib.Path(__file__).parent

def note(name, text):
    with (HERE / name).open("a") as file:
        file.write(text + "\\n")

def twice(event, context):
    note("twice", context.aws_request_id)
    if len((HERE / "twice").read_text().splitlines()) < 2:
        raise LookupError("not yet")
    return {"found": event}

def never(event, context):
    note("never", context.aws_request_id)
    if event.get("hang"):
        time.sleep(60)
    raise LookupError("never")

def sink(event, context):
    note("sink", json.dumps(event))

def deep(event, context):
    answer = []
    for _ in range(980):
        answer = [answer]
    return answer

def loop(event, context):
    note("loop", "again")
"""


@pytest.fixture
def later(folder: Path) -> Path:
    return write_service(folder, MANIFEST, app=APP)


def send(emulator: Emulator, name: str, event: Any) -> str:
    path = f"/2015-03-31/functions/{name}/invocations"
    answer = emulator.request("POST", path, json.dumps(event).encode(), [("X-Amz-Invocation-Type", "Event")])
    assert answer.status == 202
    return str(answer.header("x-amzn-requestid"))


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def test_a_failed_event_is_tried_again_with_its_id_and_its_answer_goes_to_the_destination(later: Path) -> None:
    with running(later) as started:
        request_id = send(started, "twice", {"a": 1})
        eventually(lambda: lines(later / "sink"))
        started.wait_for("RETRY   later-dev-twice  raised: attempt 2 of 3 in 1 s  twice")
    assert lines(later / "twice") == [request_id, request_id]
    (record,) = map(json.loads, lines(later / "sink"))
    assert datetime.fromisoformat(record.pop("timestamp")).utcoffset() == timedelta()
    assert record == {
        "version": "1.0",
        "requestContext": {
            "requestId": request_id,
            "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:later-dev-twice:$LATEST",
            "condition": "Success",
            "approximateInvokeCount": 2,
        },
        "requestPayload": {"a": 1},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": {"found": {"a": 1}},
    }


@pytest.mark.parametrize(("name", "hang", "count"), [("never", False, 2), ("never", True, 2), ("once", False, 1)])
def test_what_fails_to_the_end_goes_to_the_destination_of_failures(
    later: Path, name: str, hang: bool, count: int
) -> None:
    with running(later) as started:
        send(started, name, {"hang": hang})
        eventually(lambda: lines(later / "sink"))
    assert len(lines(later / "never")) == count
    (record,) = map(json.loads, lines(later / "sink"))
    context = record["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("RetriesExhausted", count)
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert ("Task timed out" if hang else "never") in record["responsePayload"]["errorMessage"]


def test_an_answer_that_is_nested_deeply_reaches_the_destination(later: Path) -> None:
    with running(later) as started:
        send(started, "deep", {})
        eventually(lambda: lines(later / "sink"))
    (record,) = map(json.loads, lines(later / "sink"))
    assert str(record["responsePayload"]).startswith("[[[")
    assert "Traceback" not in started.output()


def test_two_more_attempts_are_the_default(later: Path) -> None:
    with running(later) as started:
        send(started, "three", {})
        eventually(lambda: len(lines(later / "never")) == 3)
        assert "attempt 3 of 3 in 2 s" in started.output()
        assert "attempt 4" not in started.output()


def test_a_stop_does_not_wait_for_further_attempts(later: Path) -> None:
    with running(later) as started:
        send(started, "three", {})
        started.wait_for("attempt 2 of 3 in 1 s")
        assert started.stop() == 0
        assert "the emulator stops: no attempt 2 of 3" in started.output()
    assert len(lines(later / "never")) == 1


def test_a_loop_of_destinations_ends(later: Path) -> None:
    with running(later) as started:
        send(started, "loop", {})
        started.wait_for("onSuccess of loop is a loop: not sent to loop")
    assert len(lines(later / "loop")) == 17


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("destinations: {onFailure: {type: function}}", "only functions of this manifest are destinations here"),
        ("destinations: {onFailure: {type: function, arn: {Fn::GetAtt: 3}}}", "only functions of this manifest"),
        ("destinations: {onFailure: [sink]}", "error: "),
        ("maximumRetryAttempts: 3", "must be a whole number from 0 to 2, not 3"),
        ("destinations: sink", "must be an object"),
    ],
)
def test_settings_that_are_wrong_are_named(folder: Path, written: str, told: str) -> None:
    text = f"service: s\nfunctions:\n  one:\n    handler: app.one\n    {written}\n"
    result = run("routes", "--manifest", str(write_service(folder, text) / "serverless.yml"))
    assert "serverless.yml:5: " in result.stderr
    assert told in result.stderr


def test_destinations_elsewhere_are_warned_about(later: Path) -> None:
    warned = run("routes", "--manifest", str(later / "serverless.yml")).stderr
    assert "serverless.yml:14: only functions of this manifest are destinations here" in warned
    assert "serverless.yml:14: 'gone' is no function that runs here" in warned
    assert warned.count("warning: ") == 3
