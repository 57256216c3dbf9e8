"""Lambda's Invoke API, driven by the real boto3 and the real aws command line."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.harness import TIMEOUT, Emulator, eventually

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import boto3  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:conformance-dev-context"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-west-1"}


@pytest.fixture(scope="session")
def client(emulator: Emulator) -> Iterator[Any]:
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-1")
    config = Config(retries={"max_attempts": 0}, read_timeout=TIMEOUT)
    client = session.client("lambda", endpoint_url=f"http://127.0.0.1:{emulator.port}", config=config)
    yield client
    client.close()


@pytest.mark.parametrize(
    "name",
    ["context", "conformance-dev-context", ARN, f"{ARN}:$LATEST", "context:$LATEST", "123456789012:function:context"],
)
def test_a_function_answers_to_its_names(client: Any, name: str) -> None:
    answer = client.invoke(FunctionName=name, Payload=b"{}")
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    told = json.loads(answer["Payload"].read())
    assert told["function_name"] == "conformance-dev-context"
    assert told["aws_request_id"] == answer["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"FunctionName": f"{ARN}:live"},
        {"FunctionName": "context:7"},
        {"FunctionName": "context", "Qualifier": "live"},
        {"FunctionName": ARN.replace("123456789012", "210987654321")},
        {"FunctionName": "210987654321:function:context"},
        {"FunctionName": ARN.replace("eu-west-1", "us-east-1")},
    ],
)
def test_a_foreign_account_or_region_or_an_unknown_qualifier_names_no_function(
    client: Any, arguments: dict[str, str]
) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(**arguments)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_function(**arguments)


def test_a_qualifier_and_a_client_context(client: Any) -> None:
    context = base64.b64encode(json.dumps({"custom": {"a": "ü\n"}}).encode()).decode()
    answer = client.invoke(FunctionName="context", Qualifier="$LATEST", ClientContext=context)
    assert json.loads(answer["Payload"].read())["client_context"] == {"a": "ü\n"}


@pytest.mark.parametrize(
    "context",
    [json.dumps({"custom": "\u4e2d" * 11_000}).encode(), b"[" * 40_000, b"[" * 2_600, b'{"a":' * 530],
    ids=["long", "long and deep", "deep", "deep object"],
)
def test_a_client_context_that_is_too_long_or_too_deep_is_refused(
    client: Any, emulator: Emulator, context: bytes
) -> None:
    tracebacks = emulator.output().count("Traceback")
    with pytest.raises(client.exceptions.InvalidRequestContentException):
        client.invoke(FunctionName="context", ClientContext=base64.b64encode(context).decode())
    assert emulator.output().count("Traceback") == tracebacks


def test_the_longest_client_context_that_is_not_ascii_arrives(client: Any) -> None:
    custom = "\u4e2d" * 880
    context = base64.b64encode(json.dumps({"custom": custom}, ensure_ascii=False).encode()).decode()
    answer = client.invoke(FunctionName="context", ClientContext=context)
    assert json.loads(answer["Payload"].read())["client_context"] == custom


def test_a_client_that_leaves_in_the_middle_of_its_payload_is_no_error(client: Any, emulator: Emulator) -> None:
    tracebacks = emulator.output().count("Traceback")
    head = b"POST /2015-03-31/functions/echo/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
    with emulator.connect() as leaving:
        leaving.sendall(head + b'{"half":')
    for _ in range(3):
        client.invoke(FunctionName="echo", Payload=b"{}")
    assert emulator.output().count("Traceback") == tracebacks


def test_any_json_is_an_event(client: Any) -> None:
    answer = client.invoke(FunctionName="echo", Payload=b'[1, "\xc3\xbc"]')
    assert json.loads(json.loads(answer["Payload"].read())["body"]) == [1, "ü"]


def test_a_function_error_with_its_log(client: Any) -> None:
    answer = client.invoke(FunctionName="raises", Payload=b"{}", LogType="Tail")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    error = json.loads(answer["Payload"].read())
    assert (error["errorType"], error["errorMessage"]) == ("LookupError", "no such pupil")
    assert "in raises" in error["stackTrace"][0]
    request_id = answer["ResponseMetadata"]["RequestId"]
    log = base64.b64decode(answer["LogResult"]).decode()
    assert log.startswith(f"START RequestId: {request_id} Version: $LATEST\nabout to fail\n[ERROR] LookupError")
    report = (
        rf"END RequestId: {request_id}\n"
        rf"REPORT RequestId: {request_id}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\t"
        r"Memory Size: 512 MB\tMax Memory Used: [1-9]\d* MB\t(Init Duration: \d+\.\d\d ms\t)?\n$"
    )
    assert re.search(report, log)


def test_the_reported_duration_is_the_functions(client: Any) -> None:
    begun = time.perf_counter()
    answer = client.invoke(FunctionName="context", Payload=b"{}", LogType="Tail")
    took = (time.perf_counter() - begun) * 1000
    reported = re.search(rb"\tDuration: (\S+) ms", base64.b64decode(answer["LogResult"]))
    assert reported
    assert 50 <= float(reported[1]) <= took  # it sleeps for 50 ms


def test_the_tail_of_a_long_log(client: Any) -> None:
    answer = client.invoke(FunctionName="prints", Payload=b"{}", LogType="Tail")
    log = base64.b64decode(answer["LogResult"])
    assert len(log) == 4096
    assert b"REPORT RequestId: " in log


def test_a_timeout(client: Any) -> None:
    answer = client.invoke(FunctionName="slow", Payload=b"{}")
    assert answer["FunctionError"] == "Unhandled"
    message = json.loads(answer["Payload"].read())["errorMessage"]
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\dT[\d:.]+Z {request_id} Task timed out after 1\.00 seconds", message)


def test_a_dead_process(client: Any) -> None:
    answer = client.invoke(FunctionName="exits", Payload=b"{}")
    error = json.loads(answer["Payload"].read())
    assert (answer["FunctionError"], error["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert error["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")


def test_event_and_dry_run(client: Any, emulator: Emulator) -> None:
    before = json.loads(client.invoke(FunctionName="count")["Payload"].read())["calls"]
    answer = client.invoke(FunctionName="count", InvocationType="Event", Payload=b"{}")
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    assert client.invoke(FunctionName="count", InvocationType="DryRun")["StatusCode"] == 204
    request_id = answer["ResponseMetadata"]["RequestId"].encode()
    eventually(lambda: request_id in emulator.get("/_emulator/logs?function=count").body)
    after = json.loads(client.invoke(FunctionName="count")["Payload"].read())["calls"]
    assert after == before + 2


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ({"FunctionName": "nobody"}, 404, "ResourceNotFoundException"),
        ({"FunctionName": "echo", "Payload": b"{broken"}, 400, "InvalidRequestContentException"),
        ({"FunctionName": "echo", "Payload": b'"\xff"'}, 400, "InvalidRequestContentException"),
        ({"FunctionName": "echo", "ClientContext": "%%"}, 400, "InvalidRequestContentException"),
        ({"FunctionName": "echo", "Payload": b'"' + b"x" * 6_291_555 + b'"'}, 413, "RequestTooLargeException"),
    ],
)
def test_service_errors(client: Any, arguments: dict[str, Any], status: int, code: str) -> None:
    with pytest.raises(ClientError) as caught:
        client.invoke(**arguments)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["Error"]["Message"]


def test_functions_are_listed_and_described(client: Any) -> None:
    listed = client.list_functions()["Functions"]
    assert "conformance-dev-echo" in [function["FunctionName"] for function in listed]
    described = client.get_function(FunctionName="context")["Configuration"]
    assert (described["FunctionArn"], described["Timeout"], described["MemorySize"]) == (ARN, 3, 128)
    assert client.get_function_configuration(FunctionName=ARN)["Handler"] == "handlers.context"


def test_the_aws_command_line(emulator: Emulator, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "awscli", "lambda", "invoke", "--function-name", "raises", "--log-type", "Tail"]
    endpoint = ["--endpoint-url", f"http://127.0.0.1:{emulator.port}", "--payload", "{}", str(out)]
    environ = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", **KEYS}
    told = subprocess.run([*command, *endpoint], env=environ, capture_output=True, text=True, check=True)
    answer = json.loads(told.stdout)
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert json.loads(out.read_text())["errorMessage"] == "no such pupil"
