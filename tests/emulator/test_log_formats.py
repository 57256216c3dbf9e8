"""A function's log as JSON, and what functions know of where they run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.harness import Emulator, running, write_service
from tests.emulator.test_command_line import run

MANIFEST = """
service: logs
provider:
  name: aws
  logs: {lambda: {logFormat: JSON, applicationLogLevel: WARN}}
functions:
  says: {handler: app.says, events: [{httpApi: GET /says}]}
  fails: {handler: app.fails, logs: {logFormat: JSON, systemLogLevel: DEBUG}, events: [{httpApi: GET /fails}]}
  quiet:
    handler: app.says
    logs: {logFormat: JSON, systemLogLevel: WARN, applicationLogLevel: TRACE, logGroup: /mine}
    events: [{httpApi: GET /quiet}]
  text: {handler: app.says, logs: {applicationLogLevel: DEBUG}, events: [{httpApi: GET /text}]}
  environ: {handler: app.environ, events: [{httpApi: GET /environ}]}
"""
APP = """
import logging, os
log = logging.getLogger("app")

def says(event, context):
    log.debug("a debug line")
    log.warning("count %d ü", 7, extra={"pupil": "ann", "odd": {1}})
    log.warning({"a": 1})
    print("printed")
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("bad")

def fails(event, context):
    raise LookupError("no such pupil")

def environ(event, context):
    return dict(os.environ)
"""


@pytest.fixture(scope="module", params=["workers", "ric"])
def logging_service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = write_service(tmp_path_factory.mktemp("logs") / "service", MANIFEST, app=APP)
    with running(folder, "--runtime", request.param) as started:
        yield started


def lines(emulator: Emulator, name: str) -> list[Any]:
    emulator.get(f"/{name}")
    text = run("logs", "--port", str(emulator.port), "--function", name).stdout
    return [json.loads(line) if line.lstrip().startswith("{") else line.strip() for line in text.splitlines()]


def test_records_of_logging_are_json_with_their_extra_fields(logging_service: Emulator) -> None:
    start, counted, plain, printed, raised, report = lines(logging_service, "says")
    request_id = start["record"]["requestId"]
    assert datetime.fromisoformat(counted.pop("timestamp"))
    message = {"level": "WARNING", "message": "count 7 ü", "logger": "app", "requestId": request_id}
    assert counted == {**message, "pupil": "ann", "odd": "{1}"}
    assert (plain["message"], printed) == ({"a": 1}, "printed")
    assert raised["location"].endswith("app.py:says:13")
    assert (raised["errorType"], raised["errorMessage"]) == ("ZeroDivisionError", "division by zero")
    assert "1 / 0" in raised["stackTrace"][0]
    assert start == {
        "time": start["time"],
        "type": "platform.start",
        "record": {"requestId": request_id, "version": "$LATEST"},
    }
    assert (report["type"], report["record"]["status"]) == ("platform.report", "success")
    metrics = {"durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB"}
    assert set(report["record"]["metrics"]) - {"initDurationMs"} == metrics


def test_an_error_is_json_too(logging_service: Emulator) -> None:
    start, error, done, report = lines(logging_service, "fails")
    assert (error["level"], error["errorType"], error["errorMessage"]) == ("ERROR", "LookupError", "no such pupil")
    assert error["requestId"] == start["record"]["requestId"]
    assert "raise LookupError" in error["stackTrace"][0]
    assert [line["type"] for line in (done, report)] == ["platform.runtimeDone", "platform.report"]
    assert report["record"]["status"] == "error"


def test_levels_choose_the_lines(logging_service: Emulator) -> None:
    found = lines(logging_service, "quiet")
    assert [one["message"] if isinstance(one, dict) else one for one in found][:2] == ["a debug line", "count 7 ü"]
    assert not [one for one in found if "type" in one]


def test_levels_without_json_are_warned_about(logging_service: Emulator) -> None:
    warning = "serverless.yml:13: applicationLogLevel needs logFormat: JSON, without which AWS refuses it"
    assert warning in logging_service.output()
    assert lines(logging_service, "text")[0].startswith("START RequestId: ")


def test_functions_know_that_they_are_local_and_have_keys_that_open_nothing(logging_service: Emulator) -> None:
    found = logging_service.get("/environ").json
    assert [found[name] for name in ("AWS_SAM_LOCAL", "IS_OFFLINE", "AWS_REGION")] == ["true", "true", "us-east-1"]
    keys = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
    assert [found[name] for name in keys] == ["local"] * 3
    assert (found["AWS_LAMBDA_LOG_FORMAT"], found["AWS_LAMBDA_LOG_LEVEL"]) == ("JSON", "WARN")


@pytest.mark.parametrize("given", ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"])
def test_credentials_that_are_given_are_the_only_ones(folder: Path, given: str) -> None:
    manifest = str(write_service(folder, MANIFEST, app=APP) / "serverless.yml")
    (folder / "given.env").write_text(f"{given}=mine\n")
    told = run("invoke", "environ", "--manifest", manifest, "--env-file", str(folder / "given.env"))
    found = {name: value for name, value in json.loads(told.stdout).items() if name.startswith("AWS_")}
    assert found[given] == "mine"
    assert "local" not in found.values()


def test_a_format_that_does_not_exist_is_refused(folder: Path) -> None:
    text = MANIFEST.replace("logFormat: JSON, applicationLogLevel: WARN", "logFormat: XML")
    told = run("routes", "--manifest", str(write_service(folder, text) / "serverless.yml"))
    assert "serverless.yml:5: provider.logs.lambda.logFormat: must be one of Text, JSON, not 'XML'" in told.stderr
