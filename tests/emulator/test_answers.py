"""What functions return, and how they fail, as the gateway answers it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from emulator.containers import Outcome
from emulator.gateway.payload_v2_response import http_api
from emulator.runtime import handlers
from emulator.runtime.context import LambdaContext
from tests.emulator.harness import Answer, Emulator

SERVER_ERROR = {"message": "Internal Server Error"}


def assert_server_error(answer: Answer) -> None:
    assert (answer.status, answer.json) == (500, SERVER_ERROR)
    assert answer.header("content-type") == "application/json"


@pytest.mark.parametrize(
    ("value", "body"),
    [({"a": 1}, b'{"a": 1}'), ([1], b"[1]"), ("plain", b"plain"), (7, b"7"), (None, b"null"), (True, b"true")],
)
def test_an_answer_without_a_status_is_the_body(emulator: Emulator, value: Any, body: bytes) -> None:
    answer = emulator.post("/answer", value)
    assert (answer.status, answer.body) == (200, body)
    assert answer.header("content-type") == "application/json"


def test_status_headers_cookies_and_body(emulator: Emulator) -> None:
    value = {
        "statusCode": 201,
        "headers": {"Location": "/echo/1", "X-Count": 3, "X-Flag": False},
        "cookies": ["a=1; HttpOnly", "b=2"],
        "body": "made: ü",
    }
    answer = emulator.post("/answer", value)
    assert (answer.status, answer.body) == (201, "made: ü".encode())
    assert (answer.header("location"), answer.header("x-count"), answer.header("x-flag")) == ("/echo/1", "3", "false")
    assert [value for name, value in answer.headers if name == "set-cookie"] == ["a=1; HttpOnly", "b=2"]
    assert answer.header("content-type") == "text/plain;charset=UTF-8"
    assert answer.header("apigw-requestid")


def test_a_status_may_be_digits_and_a_body_may_be_missing(emulator: Emulator) -> None:
    answer = emulator.post("/answer", {"statusCode": "202"})
    assert (answer.status, answer.body, answer.header("content-length")) == (202, b"", "0")


def test_no_content_has_no_body(emulator: Emulator) -> None:
    answer = emulator.post("/answer", {"statusCode": 204, "body": "ignored"})
    assert (answer.status, answer.body, answer.header("content-length")) == (204, b"", None)


def test_a_length_of_the_functions_own_is_corrected(emulator: Emulator) -> None:
    value = {"statusCode": 200, "headers": {"Content-Length": "999", "Transfer-Encoding": "chunked"}, "body": "four"}
    answer = emulator.post("/answer", value)
    assert (answer.body, answer.header("content-length")) == (b"four", "4")


def test_every_byte_survives_both_ways(emulator: Emulator) -> None:
    body = bytes(range(256)) * 50
    assert emulator.request("POST", "/raw", body, [("Content-Type", "image/png")]).body == body


@pytest.mark.parametrize(
    "value",
    [
        {"statusCode": "fine"},
        {"statusCode": None},
        {"statusCode": 99},
        {"statusCode": 600},
        {"statusCode": True},
        {"statusCode": 200, "body": {"an": "object"}},
        {"statusCode": 200, "body": "!", "isBase64Encoded": True},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "headers": {"x": "a\r\nset-cookie: b=1"}},
        {"statusCode": 200, "headers": {"x: y": "a"}},
        {"statusCode": 200, "headers": {"x": {}}},
        {"statusCode": 200, "cookies": ["a=1\r\nb: c"]},
        {"statusCode": 200, "cookies": 5},
    ],
)
def test_a_malformed_answer_is_a_server_error(emulator: Emulator, value: Any) -> None:
    assert_server_error(emulator.post("/answer", value))


@pytest.mark.parametrize("answered", [b"[" * 100_000 + b"]" * 100_000, b"\xff", b"{"])
def test_an_answer_that_cannot_be_read_is_a_server_error(answered: bytes) -> None:
    response = http_api(Outcome(answered))
    assert response.status == 500
    assert response.note.startswith("malformed answer: ")
    assert Outcome(answered).value == answered.decode(errors="replace")


@pytest.mark.parametrize(
    "path",
    ["raises", "exits", "not-json", "huge", "deep", "missing-module", "missing-name", "bad-syntax"],
)
def test_a_failing_function_is_a_server_error(emulator: Emulator, path: str) -> None:
    assert_server_error(emulator.get(f"/{path}"))
    assert emulator.get("/echo").status == 200


def test_a_function_that_returns_none_answers_null(emulator: Emulator) -> None:
    answer = emulator.get("/none")
    assert (answer.status, answer.body) == (200, b"null")


def test_a_timeout_is_unavailable_and_comes_in_time(emulator: Emulator) -> None:
    answer = emulator.get("/slow")
    assert (answer.status, answer.json) == (503, {"message": "Service Unavailable"})
    emulator.wait_for("slow  (timed out)")


@pytest.mark.parametrize(("path", "body"), [("prints", b"printed"), ("forges", b"true"), ("leaks", b"leaked")])
def test_what_a_function_prints_never_becomes_its_answer(emulator: Emulator, path: str, body: bytes) -> None:
    assert emulator.get(f"/{path}").body == body
    assert emulator.get(f"/{path}").body == body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("GET", "/echo/"),
        ("GET", "/ECHO"),
        ("DELETE", "/echo"),
        ("HEAD", "/echo"),
        ("OPTIONS", "/echo"),
        ("GET", "/echo/a/b"),
        ("GET", "/files/"),
        ("GET", "/files"),
    ],
)
def test_no_route(emulator: Emulator, method: str, path: str) -> None:
    answer = emulator.request(method, path)
    assert answer.status == 404
    assert answer.header("content-length") == "23"
    assert answer.body == (b"" if method == "HEAD" else b'{"message":"Not Found"}')


def test_head_reaches_any_and_has_no_body(emulator: Emulator) -> None:
    answer = emulator.request("HEAD", "/any")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("content-type") == "application/json"


def test_the_context_is_true(emulator: Emulator) -> None:
    first, second = emulator.get("/context").json, emulator.get("/context").json
    assert first["function_name"] == "conformance-dev-context"
    assert first["function_version"] == "$LATEST"
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:conformance-dev-context"
    assert first["invoked_function_arn"] == arn
    assert first["memory_limit_in_mb"] == "128"
    assert first["log_group_name"] == "/aws/lambda/conformance-dev-context"
    assert "[$LATEST]" in first["log_stream_name"]
    assert first["aws_request_id"] != second["aws_request_id"]
    before, after = first["remaining"]
    assert 2500 < before <= 3000
    assert 40 <= before - after < 1000


def test_the_manifests_environment_arrives(emulator: Emulator) -> None:
    told = emulator.get("/context").json
    wanted = {"SHARED_BY_ALL": "everywhere", "A_NUMBER": "12", "A_SWITCH": "true"}
    assert {name: told["environ"].get(name) for name in wanted} == wanted
    assert told["cwd"] == str(emulator.folder)


def test_parallel_requests_get_each_its_own_answer(emulator: Emulator) -> None:
    def ask(number: int) -> str:
        return str(emulator.get(f"/echo/{number}").json["pathParameters"]["id"])

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(ask, range(64))) == [str(number) for number in range(64)]


def test_modules_stay_warm(emulator: Emulator) -> None:
    first = emulator.get("/count").json["calls"]
    assert emulator.get("/count").json["calls"] == first + 1


AWKWARD = [
    '"quoted" \\ and /',
    "\x00\x01\x1f\x7f\x80\u2028",
    "line\r\n\tline\b\f",
    "ü€😀",
    "null",
    "  ",
    "\ufeff\uffff",
]


@pytest.mark.parametrize("text", AWKWARD)
def test_a_large_body_arrives_unchanged_over_http_and_over_the_lambda_api(emulator: Emulator, text: str) -> None:
    value = {"headers": {"x-body": "null"}, "body": text * 5000, "statusCode": 200}
    assert emulator.post("/answer", value).body == (text * 5000).encode()
    event = json.dumps({"body": json.dumps(value), "isBase64Encoded": False}).encode()
    invoked = emulator.request("POST", "/2015-03-31/functions/answer/invocations", event)
    assert list(invoked.json.items()) == list(value.items())


def test_a_large_binary_body_arrives_unchanged(emulator: Emulator) -> None:
    content = bytes(range(256)) * 300
    answer = emulator.request("POST", "/raw", content, [("Content-Type", "application/octet-stream")])
    assert answer.body == content


@pytest.mark.parametrize("length", [10, 100_000])
def test_a_body_that_is_no_text_is_an_error_whatever_its_length(emulator: Emulator, length: int) -> None:
    value = json.dumps({"statusCode": 200, "body": "\ud800" + "x" * length})
    event = json.dumps({"body": value, "isBase64Encoded": False}).encode()
    failed = emulator.request("POST", "/2015-03-31/functions/answer/invocations", event)
    # Amazon's client ends with its process over this.
    assert failed.json["errorType"] in ("Runtime.MarshalError", "Runtime.ExitError")


@pytest.mark.parametrize(("quotes", "fault"), [(3_145_700, None), (3_145_780, "Unhandled")])
def test_escapes_count_for_the_limit_of_an_answer(emulator: Emulator, quotes: int, fault: str | None) -> None:
    event = json.dumps({"quotes": quotes}).encode()
    answered = emulator.request("POST", "/2015-03-31/functions/quotes/invocations", event)
    assert answered.header("x-amz-function-error") == fault
    assert len(answered.body) == (2 * quotes + len('{"body": ""}') if fault is None else len(answered.body))


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("around", ['""', '{"statusCode": 200, "body": ""}'])
def test_an_answer_of_lambdas_limit_passes_and_a_byte_more_does_not(around: str, over: int) -> None:
    text = "x" * (handlers.MAX_PAYLOAD - len(around) + over)
    result = text if around == '""' else {"statusCode": 200, "body": text}
    context = LambdaContext("id", 0, {}, "arn")
    answer = handlers.call(lambda *_: result, b"{}", context)
    assert ("ResponseSizeTooLarge" in (answer.error or "")) is bool(over)
