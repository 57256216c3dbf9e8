"""What a function returned, or failed to, as the gateway would answer it."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from emulator.containers import Fault, Outcome

Headers = list[tuple[bytes, bytes]]

JSON_TYPE = (b"content-type", b"application/json")
TEXT_TYPE = (b"content-type", b"text/plain;charset=UTF-8")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_HOP_BY_HOP = frozenset({"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
_decode = msgspec.json.Decoder().decode


class MalformedError(Exception):
    """An answer that the gateway cannot make a response of; the text says why, for the console."""


@dataclass(slots=True)
class Response:
    """A response on its way to the client."""

    status: int
    body: bytes = b""
    headers: Headers = field(default_factory=list)
    note: str = ""
    """What the console adds to the request's line."""


def error(status: int, message: str, note: str = "") -> Response:
    """An error of the gateway itself: `{"message": ...}`."""
    return Response(status, json.dumps({"message": message}, separators=(",", ":")).encode(), [JSON_TYPE], note)


def not_found() -> Response:
    """No route for this method and path."""
    return error(404, "Not Found")


def too_large() -> Response:
    """A body over the gateway's limit, or an event over Lambda's."""
    return error(413, "Request Entity Too Large")


def http_api(outcome: Outcome) -> Response:
    """The response of an HTTP API (format 2.0) to whatever came of the invocation."""
    if outcome.fault is not None:
        return _failure(outcome)
    try:
        value = _decode(outcome.payload)
        if not isinstance(value, dict) or "statusCode" not in value:
            return _inferred(value, outcome.payload)
        response = described(value)
        response.headers += _cookies(value.get("cookies") or [])
    except (MalformedError, msgspec.DecodeError, UnicodeDecodeError) as problem:
        return error(500, "Internal Server Error", f"malformed answer: {problem}")
    return response


def described(value: dict[str, Any]) -> Response:
    """The part that both payload formats share: status, headers, body and its encoding."""
    status = _status(value["statusCode"])
    headers: Headers = []
    typed = False
    given = value.get("headers") or {}
    if not isinstance(given, dict):
        raise MalformedError("headers is not an object")
    for name, item in given.items():
        lowered = name.lower()
        if lowered in _HOP_BY_HOP:
            continue
        typed = typed or lowered == "content-type"
        headers.append((header_name(lowered), header_value(name, item)))
    body = _body(value)
    if not typed and body:
        headers.append(TEXT_TYPE)
    return Response(status, b"" if status in (204, 304) else body, headers)


@functools.lru_cache(maxsize=256)
def header_name(name: str) -> bytes:
    """A header's name, when it is one."""
    if not _NAME.fullmatch(name):
        raise MalformedError(f"{name!r} is not a header's name")
    return name.encode()


def header_value(name: str, value: Any) -> bytes:
    """A header's value; numbers and booleans become text, line breaks are refused."""
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, (int, float)):
        value = str(value)
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise MalformedError(f"the header {name!r} has a value that cannot be sent")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def _cookies(given: Any) -> Headers:
    if not isinstance(given, list):
        raise MalformedError("cookies is not a list")
    return [(b"set-cookie", header_value("cookies", cookie)) for cookie in given]


def _failure(outcome: Outcome) -> Response:
    if outcome.fault is Fault.TIMED_OUT:
        return error(503, "Service Unavailable", "timed out")
    if outcome.fault is Fault.THROTTLED:
        return error(429, "Too Many Requests", "every container is busy")
    return error(500, "Internal Server Error", told(outcome))


def told(outcome: Outcome) -> str:
    """The error object in a few words, for the console."""
    try:
        found = json.loads(outcome.payload)
        return f"{found.get('errorType', 'error')}: {found.get('errorMessage', '')}"
    except (ValueError, AttributeError):
        return "unreadable error"


def _inferred(value: Any, payload: bytes) -> Response:
    """Without a statusCode the value itself is the body: a string as it is, anything else as JSON."""
    return Response(200, value.encode() if isinstance(value, str) else payload, [JSON_TYPE])


def _status(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        raise MalformedError(f"statusCode is {value!r}")
    return value


def _body(value: dict[str, Any]) -> bytes:
    body = value.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise MalformedError("body is not a string")
    if value.get("isBase64Encoded") is not True:
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedError("body is not base64, though isBase64Encoded says so") from None
