"""Events of other services, made for a call by hand, and what becomes of a batch."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.emulator.harness import ROOT, write_service
from tests.emulator.test_command_line import run

MANIFEST = """
service: batches
provider: {name: aws}
functions:
  echo: {handler: app.echo, events: [{sqs: "arn:aws:sqs:eu-west-1:1:q"}]}
  fails: {handler: app.fails}
  strange: {handler: app.strange}
"""
APP = """
import base64

def echo(event, context):
    return event

def content(record):
    return record["body"] if "body" in record else base64.b64decode(record["kinesis"]["data"]).decode()

def name(record):
    return record.get("messageId") or record["kinesis"]["sequenceNumber"]

def fails(event, context):
    failed = [record for record in event["Records"] if content(record) == "bad"]
    return {"batchItemFailures": [{"itemIdentifier": name(record)} for record in failed]}

def strange(event, context):
    return {"batchItemFailures": [{"itemIdentifier": ""}]}
"""
MODELS = {
    "sqs": "SqsModel",
    "sns": "SnsModel",
    "s3": "S3Model",
    "dynamodb": "DynamoDBStreamModel",
    "kinesis": "KinesisDataStreamModel",
    "eventBridge": "EventBridgeModel",
}
VALIDATE = """
import sys
from aws_lambda_powertools.utilities.parser import models

getattr(models, sys.argv[1]).model_validate_json(sys.stdin.read())
"""
"""In a process of its own: these models are built when they are first used, and a frozen clock breaks that."""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = write_service(tmp_path_factory.mktemp("batches") / "service", MANIFEST, app=APP)
    return str(folder / "serverless.yml")


def made(*arguments: str) -> Any:
    return json.loads(run("event", *arguments).stdout)


def piped(manifest: str, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    text = run("event", *arguments).stdout
    command = [sys.executable, "-m", "emulator", "invoke", name, "--event", "-", "--manifest", manifest]
    return subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=True)


@pytest.mark.parametrize("kind", MODELS)
def test_an_event_has_the_form_that_others_expect_of_it(kind: str) -> None:
    event = made(kind, "--body", '{"id": "ann", "points": 3}', "--name", "lessons", "--region", "eu-west-1")
    check = [sys.executable, "-c", VALIDATE, MODELS[kind]]
    checked = subprocess.run(check, input=json.dumps(event), capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "lessons" in json.dumps(event)
    assert "eu-west-1" in json.dumps(event)


def test_the_body_is_in_the_place_of_each_service() -> None:
    assert [one["body"] for one in made("sqs", "--body", "a", "--body", "b")["Records"]] == ["a", "b"]
    assert made("sns", "--body", "ü")["Records"][0]["Sns"]["Message"] == "ü"
    assert made("kinesis", "--body", "a")["Records"][0]["kinesis"]["data"] == "YQ=="
    stored = made("s3", "--body", "four", "--key", "a b/ü.txt")["Records"][0]["s3"]["object"]
    assert (stored["key"], stored["size"]) == ("a+b/%C3%BC.txt", 4)
    change = made("dynamodb", "--body", '{"id": 1, "tags": ["x"], "on": true, "of": {"no": null}}')["Records"][0]
    assert change["dynamodb"]["Keys"] == {"id": {"N": "1"}}
    image = {"id": {"N": "1"}, "tags": {"L": [{"S": "x"}]}, "on": {"BOOL": True}, "of": {"M": {"no": {"NULL": True}}}}
    assert change["dynamodb"]["NewImage"] == image
    assert made("eventBridge", "--body", '{"a": 1}', "--detail-type", "Ended")["detail-type"] == "Ended"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dynamodb", "--body", "text"), "an item is a JSON object, not 'text'"),
        (("dynamodb", "--body", "{}"), "an item needs at least one attribute"),
        (("eventBridge", "--body", "{}", "--body", "{}"), "EventBridge sends one event at a time"),
    ],
)
def test_a_body_that_no_service_sends_is_refused(arguments: tuple[str, ...], message: str) -> None:
    told = run("event", *arguments)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith(f"error: {message}")


def test_a_function_is_called_with_an_event_from_standard_input(manifest: str) -> None:
    (record,) = json.loads(piped(manifest, "echo", "sqs", "--body", "hello").stdout)["Records"]
    assert (record["body"], record["eventSource"]) == ("hello", "aws:sqs")


def test_of_a_queue_the_failed_messages_are_shown(manifest: str) -> None:
    told = piped(manifest, "fails", "sqs", "--body", "good", "--body", "bad", "--body", "good")
    (failed,) = json.loads(told.stdout)["batchItemFailures"]
    assert told.stderr.splitlines()[-1] == f"batch: 1 of 3 records would be sent again: {failed['itemIdentifier']}"


def test_of_a_stream_everything_from_the_first_failure_on_is_shown(manifest: str) -> None:
    told = piped(manifest, "fails", "kinesis", "--body", "good", "--body", "bad", "--body", "good")
    assert "batch: 2 of 3 records would be sent again: 4959" in told.stderr


def test_a_batch_without_failures_and_one_with_a_strange_failure(manifest: str) -> None:
    assert "batch: every record succeeded, of 1\n" in piped(manifest, "fails", "sqs", "--body", "good").stderr
    told = piped(manifest, "strange", "sqs", "--body", "good")
    assert "batch: '' is no record of the event: all of its records would be sent again\n" in told.stderr
    assert "batch" not in piped(manifest, "echo", "sqs").stderr
    assert "batch" not in piped(manifest, "strange", "sns").stderr
