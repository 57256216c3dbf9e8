"""REST APIs: payload format 1.0, under the path of the stage, with their own errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.gateway import media_types
from tests.emulator.harness import Emulator, assert_just_now, running, write_service

MANIFEST = """
service: old
provider: {name: aws, stage: prod}
functions:
  echo:
    handler: app.echo
    events:
      - http: GET pets/{id}
      - http: {path: /pets/{id}, method: post, cors: true}
      - http: ANY files/{proxy+}
      - httpApi: GET /pets/{id}
  answer: {handler: app.answer, events: [{http: POST /answer}]}
  slow: {handler: app.slow, timeout: 1, events: [{http: GET /slow}]}
  raises: {handler: app.raises, events: [{http: GET /raises}]}
"""
APP = """
import json, time
def echo(event, context):
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(event)}
def answer(event, context):
    return json.loads(event["body"])
def slow(event, context):
    time.sleep(3)  # longer than its time-out
def raises(event, context):
    raise RuntimeError
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    manifest = MANIFEST.replace("path: /pets/{id}", "path: '/pets/{id}'")
    with running(write_service(tmp_path_factory.mktemp("old") / "service", manifest, app=APP)) as started:
        yield started


def test_the_event_of_a_rest_api(old: Emulator) -> None:
    headers = [("X-Room", "12"), ("X-Room", "13"), ("User-Agent", "school/1.0"), ("Cookie", "a=1"), ("Accept", "*/*")]
    event = old.get("/prod/pets/a%20b?q=1&q=2+3&r=", *headers).json
    context = event.pop("requestContext")
    values, given = event.pop("multiValueHeaders"), event.pop("headers")
    assert values["X-Room"] == ["12", "13"]
    assert given == {name: found[-1] for name, found in values.items()}
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", given.pop("X-Amzn-Trace-Id"))
    assert given == {
        "Accept": "*/*",
        "Cookie": "a=1",
        "Host": f"127.0.0.1:{old.port}",
        "User-Agent": "school/1.0",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Port": str(old.port),
        "X-Forwarded-Proto": "http",
        "X-Room": "13",
    }
    assert event == {
        "resource": "/pets/{id}",
        "path": "/pets/a%20b",
        "httpMethod": "GET",
        "queryStringParameters": {"q": "2 3", "r": ""},
        "multiValueQueryStringParameters": {"q": ["1", "2 3"], "r": [""]},
        "pathParameters": {"id": "a b"},
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
    }
    assert_just_now(context.pop("requestTime"), context.pop("requestTimeEpoch"))
    identity = {name: value for name, value in context.pop("identity").items() if value is not None}
    assert identity == {"sourceIp": "127.0.0.1", "userAgent": "school/1.0"}
    assert context.pop("requestId") == context.pop("extendedRequestId") != ""
    assert context == {
        "accountId": "123456789012",
        "apiId": "local",
        "domainName": "127.0.0.1",
        "domainPrefix": "127",
        "httpMethod": "GET",
        "path": "/prod/pets/a%20b",
        "protocol": "HTTP/1.1",
        "resourceId": "local",
        "resourcePath": "/pets/{id}",
        "stage": "prod",
    }


def test_what_is_empty_is_null(old: Emulator) -> None:
    event = old.get("/prod/files/a/b").json
    assert event["queryStringParameters"] is event["multiValueQueryStringParameters"] is None
    assert event["pathParameters"] == {"proxy": "a/b"}


def test_both_apis_live_side_by_side(old: Emulator) -> None:
    assert old.get("/pets/1").json["version"] == "2.0"
    assert "version" not in old.get("/prod/pets/1").json


def test_an_answer_with_several_values(old: Emulator) -> None:
    value = {
        "statusCode": 201,
        "headers": {"X-One": "replaced", "X-Two": "kept"},
        "multiValueHeaders": {"X-One": ["a", "b"], "Set-Cookie": ["c=1", "d=2"], "Content-Length": ["99"]},
        "body": "made",
    }
    answer = old.post("/prod/answer", value)
    found = [item for item in answer.headers if item[0] in ("x-one", "x-two", "set-cookie", "content-length")]
    assert sorted(found) == [
        ("content-length", "4"),
        ("set-cookie", "c=1"),
        ("set-cookie", "d=2"),
        ("x-one", "a"),
        ("x-one", "b"),
        ("x-two", "kept"),
    ]
    assert (answer.status, answer.body, answer.header("content-type")) == (201, b"made", "application/json")


@pytest.mark.parametrize(
    "value",
    [
        "text",
        [1],
        None,
        {"statusCode": "no"},
        {"body": 5},
        {"multiValueHeaders": {"a": "b"}},
        {"hello": 1},
        {"statusCode": 200, "extra": 1},
        {"statusCode": 200, "cookies": []},
    ],
)
def test_a_malformed_answer_is_a_bad_gateway(old: Emulator, value: Any) -> None:
    answer = old.post("/prod/answer", value)
    assert (answer.status, answer.json) == (502, {"message": "Internal server error"})
    assert answer.header("x-amzn-errortype") == "InternalServerErrorException"


def test_the_console_says_which_key_is_not_one(old: Emulator) -> None:
    old.post("/prod/answer", {"hello": 1})
    old.wait_for("'hello' is not a key of an answer in format 1.0")


def test_header_names_are_as_the_client_sent_them(old: Emulator) -> None:
    headers = [("x-lower", "1"), ("X-UPPER", "2"), ("x-MiXed", "3"), ("X-mixed", "4"), ("x-forwarded-for", "5")]
    event = old.get("/prod/pets/1", *headers, ("x-forwarded-proto", "https")).json
    found = {name: values for name, values in event["multiValueHeaders"].items() if name != "X-Amzn-Trace-Id"}
    assert found == {
        "Host": [f"127.0.0.1:{old.port}"],
        "x-lower": ["1"],
        "X-UPPER": ["2"],
        "x-MiXed": ["3", "4"],
        "X-Forwarded-For": ["5, 127.0.0.1"],
        "X-Forwarded-Port": [str(old.port)],
        "X-Forwarded-Proto": ["http"],
    }


def test_header_names_stay_behind_an_upgrade_that_is_not_served(old: Emulator) -> None:
    event = old.get("/prod/pets/1", ("Connection", "Upgrade"), ("Upgrade", "h2c"), ("x-MiXed", "1")).json
    assert event["headers"]["x-MiXed"] == "1"
    assert "Upgrade" not in event["headers"]


@pytest.mark.parametrize("path", ["/prod/pets/1/", "/prod/pets/1"])
def test_a_slash_at_the_end_makes_no_difference_to_the_route(old: Emulator, path: str) -> None:
    event = old.get(path).json
    assert (event["path"], event["pathParameters"]) == (path.removeprefix("/prod"), {"id": "1"})


@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "image/png", "text/plain", ""]
)
def test_a_body_is_text_whatever_its_type_is(old: Emulator, kind: str) -> None:
    event = old.request("POST", "/prod/pets/1", "a=é".encode() + b"\xff", [("Content-Type", kind)] if kind else []).json
    assert (event["body"], event["isBase64Encoded"]) == ("a=é\ufffd", False)


def test_an_answer_marked_as_base64_stays_as_it_is_without_binary_types(old: Emulator) -> None:
    answer = old.post("/prod/answer", {"body": "AAE=", "isBase64Encoded": True})
    assert (answer.status, answer.body) == (200, b"AAE=")


def test_failures_in_a_rest_apis_words(old: Emulator) -> None:
    assert (old.get("/prod/raises").status, old.get("/prod/raises").json) == (502, {"message": "Internal server error"})
    slow = old.get("/prod/slow")
    assert (slow.status, slow.json) == (504, {"message": "Endpoint request timed out"})
    missing = old.get("/prod/nowhere")
    assert (missing.status, missing.json) == (403, {"message": "Missing Authentication Token"})
    assert old.get("/nowhere").status == 404


def test_a_preflight_is_answered_where_the_route_has_cors(old: Emulator) -> None:
    answer = old.request("OPTIONS", "/prod/pets/1")
    assert (answer.status, answer.header("access-control-allow-methods")) == (200, "OPTIONS,POST")
    assert old.request("OPTIONS", "/prod/answer").status == 403


def test_the_banner_shows_the_stage(old: Emulator) -> None:
    assert "GET   /prod/pets/{id}" in old.output()


def test_an_http_api_may_ask_for_the_old_format(tmp_path_factory: pytest.TempPathFactory) -> None:
    manifest = MANIFEST.replace("{name: aws, stage: prod}", "{name: aws, httpApi: {payload: '1.0'}}")
    manifest = manifest.replace("path: /pets/{id}", "path: '/pets/{id}'")
    with running(write_service(tmp_path_factory.mktemp("older") / "service", manifest, app=APP)) as started:
        event = json.loads(started.get("/pets/a%20b").body)
    assert (event["version"], event["path"], event["resource"]) == ("1.0", "/pets/a b", "/pets/{id}")
    assert event["requestContext"]["resourceId"] == "GET /pets/{id}"
    assert event["requestContext"]["stage"] == "$default"


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    types = "{name: aws, stage: prod, apiGateway: {binaryMediaTypes: [image/png, 'audio/*']}}"
    manifest = MANIFEST.replace("{name: aws, stage: prod}", types).replace("path: /pets/{id}", "path: '/pets/{id}'")
    with running(write_service(tmp_path_factory.mktemp("binary") / "service", manifest, app=APP)) as started:
        yield started


@pytest.mark.parametrize(
    ("kind", "encoded"), [("image/png", True), ("AUDIO/ogg; codecs=x", True), ("image/gif", False), ("", False)]
)
def test_a_body_of_a_binary_type_is_base64(binary: Emulator, kind: str, encoded: bool) -> None:
    event = binary.request("POST", "/prod/pets/1", b"\x00\x01", [("Content-Type", kind)] if kind else []).json
    assert (event["body"], event["isBase64Encoded"]) == (("AAE=", True) if encoded else ("\x00\x01", False))


@pytest.mark.parametrize(
    ("accept", "decoded"),
    [("image/png", True), ("audio/ogg, text/html", True), ("text/html, image/png", False), ("*/*", False), ("", False)],
)
def test_an_answer_is_decoded_for_a_client_whose_first_type_is_binary(
    binary: Emulator, accept: str, decoded: bool
) -> None:
    body = json.dumps({"body": "AAE=", "isBase64Encoded": True}).encode()
    answer = binary.request("POST", "/prod/answer", body, [("Accept", accept)] if accept else [])
    assert answer.body == (b"\x00\x01" if decoded else b"AAE=")


def test_all_types_may_be_binary() -> None:
    assert media_types.matches("", ["*/*"])
    assert media_types.matches("text/html", ["*/*"])
