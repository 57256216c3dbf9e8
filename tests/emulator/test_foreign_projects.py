"""What other people's manifests ask of a running emulator: payload formats by function, IAM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.harness import Emulator, running, write_service

SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261125/eu-west-1/execute-api/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
)
MANIFEST = """
service: theirs
provider: {name: aws, stage: dev, httpApi: {authorizers: {far: {type: request, functionArn: "arn:aws:lambda:x"}}}}
functions:
  old: {handler: app.echo, httpApi: {payload: '1.0'}, events: [{httpApi: GET /old}]}
  new: {handler: app.echo, events: [{httpApi: GET /new}]}
  signed:
    handler: app.echo
    events:
      - httpApi: {path: /signed, method: GET, authorizer: {type: aws_iam}}
      - http: {path: /signed, method: get, authorizer: aws_iam}
  closed:
    handler: app.echo
    events:
      - httpApi: {path: /closed, method: GET, authorizer: far}
      - http: {path: /closed, method: get, authorizer: {arn: "arn:aws:lambda:r:1:function:f"}}
"""
APP = """
import json
def echo(event, context):
    return {"statusCode": 200, "body": json.dumps(event)}
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(write_service(tmp_path_factory.mktemp("theirs") / "service", MANIFEST, app=APP)) as started:
        yield started


def test_each_function_has_its_own_payload_format(theirs: Emulator) -> None:
    assert theirs.get("/old").json["version"] == "1.0"
    assert theirs.get("/new").json["version"] == "2.0"


@pytest.mark.parametrize("value", [{"hello": 1}, {"body": "hello"}, {}])
def test_an_answer_without_a_status_is_inferred_in_format_2_0_alone(folder: Path, value: object) -> None:
    app = f"def echo(event, context):\n    return {value}\n"
    with running(write_service(folder, MANIFEST, app=app)) as started:
        assert started.get("/new").json == value
        assert (started.get("/old").status, started.get("/old").json) == (500, {"message": "Internal Server Error"})


def test_a_request_without_a_signature_is_refused(theirs: Emulator) -> None:
    answer = theirs.get("/signed", ("Authorization", "Bearer token"))
    assert (answer.status, answer.json) == (403, {"message": "Forbidden"})
    answer = theirs.get("/dev/signed")
    assert (answer.status, answer.json) == (403, {"message": "Missing Authentication Token"})


def test_a_signed_request_reaches_the_function_with_its_caller(theirs: Emulator) -> None:
    event = theirs.get("/signed", ("Authorization", SIGNATURE)).json
    assert event["requestContext"]["authorizer"]["iam"]["accessKey"] == "AKIDEXAMPLE"
    event = theirs.get("/dev/signed", ("Authorization", SIGNATURE)).json
    assert event["requestContext"]["identity"]["accessKey"] == "AKIDEXAMPLE"
    assert "authorizer" not in event["requestContext"]


def test_a_signature_may_be_in_the_query(theirs: Emulator) -> None:
    credential = "AKIDEXAMPLE%2F20261125%2Feu-west-1%2Fexecute-api%2Faws4_request"
    signed = f"/signed?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}"
    assert theirs.get(signed).status == 403
    assert theirs.get(f"{signed}&X-Amz-Signature=5d672d79").status == 200


@pytest.mark.parametrize(
    "wrong", [SIGNATURE.replace("execute-api", "s3"), SIGNATURE.partition(", Signature")[0], "AWS4-HMAC-SHA256"]
)
def test_a_signature_for_another_service_or_half_of_one_is_refused(theirs: Emulator, wrong: str) -> None:
    assert theirs.get("/signed", ("Authorization", wrong)).status == 403


def test_an_authorizer_that_cannot_be_asked_lets_nobody_pass(theirs: Emulator) -> None:
    for path in ("/closed", "/dev/closed"):
        assert theirs.get(path, ("Authorization", SIGNATURE)).status == 403
    theirs.wait_for("(the authorizer cannot be asked here")
