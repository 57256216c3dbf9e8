"""Requests as events: exactly what AWS hands to a function of an HTTP API."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.harness import Emulator, assert_just_now

EVENTS = Path(__file__).parent / "events"


def golden(name: str, event: dict[str, Any]) -> dict[str, Any]:
    """The golden event, with the values that differ each time checked for their form and taken over."""
    expected: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    context, given = expected["requestContext"], event["requestContext"]
    assert re.fullmatch(r"[\w-]{15}=", given["requestId"])
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", given["time"])
    assert_just_now(given["time"], given["timeEpoch"])
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", event["headers"]["x-amzn-trace-id"])
    context.update({name: given[name] for name in ("requestId", "time", "timeEpoch")})
    for name in ("x-amzn-trace-id", "x-forwarded-port", "host"):
        expected["headers"][name] = event["headers"][name]
    return expected


def test_a_plain_get(emulator: Emulator) -> None:
    event = emulator.get("/echo", ("User-Agent", "curl/8.4.0"), ("Accept", "*/*")).json
    assert event == golden("get", event)


def test_everything_at_once(emulator: Emulator) -> None:
    headers = [
        ("User-Agent", "school/1.0"),
        ("Content-Type", "application/json; charset=utf-8"),
        ("X-Room", "12"),
        ("x-room", "13"),
        ("Cookie", "theme=dark; pupil=7"),
        ("Cookie", "last=1"),
        ("X-Forwarded-For", "203.0.113.7"),
    ]
    path = "/echo/a%20b%2Fc/parts/%C3%BC?q=a+b&q=c%20d&empty=&flag&plus=%2B"
    event = emulator.request("POST", path, '{"name": "Zoë"}'.encode(), headers).json
    assert event == golden("post", event)


def test_request_ids_are_unique(emulator: Emulator) -> None:
    seen = {emulator.get("/echo").json["requestContext"]["requestId"] for _ in range(20)}
    assert len(seen) == 20


@pytest.mark.parametrize(
    ("content_type", "body", "encoded"),
    [
        ("application/json", b"{}", False),
        ("application/problem+json", b"{}", False),
        ("text/plain", "ü".encode(), False),
        ("text/plain", b"\xff\xfe", True),
        ("application/octet-stream", b"text", True),
        ("image/png", b"\x89PNG\r\n\x1a\n\x00", True),
        ("application/x-www-form-urlencoded", b"a=1", True),
    ],
)
def test_a_body_is_text_or_base64(emulator: Emulator, content_type: str, body: bytes, encoded: bool) -> None:
    headers = [("Content-Type", content_type)]
    assert emulator.request("POST", "/echo", body, headers).json["isBase64Encoded"] is encoded
    assert emulator.request("POST", "/raw", body, headers).body == body


@pytest.mark.parametrize("escape", ["%2F", "%00", "%0A", "%25", "%22", "%3F", "%23"])
def test_escapes_reach_the_handler_inside_their_parameter(emulator: Emulator, escape: str) -> None:
    event = emulator.get(f"/echo/x{escape}y").json
    assert event["pathParameters"] == {"id": f"x{chr(int(escape[1:], 16))}y"}
    assert event["routeKey"] == "GET /echo/{id}"


def test_a_greedy_parameter_takes_the_rest(emulator: Emulator) -> None:
    assert emulator.get("/files/a/b%20c/d.png").json["pathParameters"] == {"path": "a/b c/d.png"}


def test_a_literal_segment_wins_over_a_parameter(emulator: Emulator) -> None:
    event = emulator.get("/echo/literal").json
    assert event["routeKey"] == "GET /echo/literal"
    assert "pathParameters" not in event


def test_any_takes_every_method(emulator: Emulator) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        event = emulator.request(method, "/any", b"").json
        assert (event["routeKey"], event["requestContext"]["http"]["method"]) == ("ANY /any", method)


def test_a_chunked_body_arrives_whole(emulator: Emulator) -> None:
    with emulator.connect() as client:
        head = b"POST /raw HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.endswith(b"\r\n\r\nabcde")
