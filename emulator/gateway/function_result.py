"""A function's result as a response: the part that both payload formats share."""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from emulator.containers import Outcome
from emulator.gateway.response import Headers, Response

TEXT_TYPE = (b"content-type", b"text/plain;charset=UTF-8")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_HOP_BY_HOP = frozenset({"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})


_decode = msgspec.json.Decoder().decode


class MalformedError(Exception):
    """A result that the gateway cannot make a response of; the text says why, for the console."""


def value_of(outcome: Outcome) -> Any:
    """The function's result; a large body is in it as the UTF-8 of its text, since JSON has no bytes.

    Raises MalformedError for what is not JSON, or is nested too deeply to be read.
    """
    try:
        value = _decode(outcome.frame)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedError(str(error)) from None
    if outcome.body:
        value["body"] = outcome.body
    return value


def response_of(result: dict[str, Any], *, decode: bool = True) -> Response:
    """The response that `statusCode`, `headers`, `body` and `isBase64Encoded` describe, or a MalformedError.

    Without `decode`, a body that is marked as base64 is sent as the text that it is.
    """
    status = _status(result.get("statusCode"))
    given = result.get("headers") or {}
    if not isinstance(given, dict):
        raise MalformedError("headers is not an object")
    headers = headers_of(given.items())
    body = _body(result, decode=decode)
    if body and "content-type" not in map(str.lower, given):
        headers.append(TEXT_TYPE)
    return Response(status, b"" if status in (204, 304) else body, headers)


def headers_of(items: Iterable[tuple[str, Any]]) -> Headers:
    """Headers as they are sent, without those that the server sets itself; a MalformedError for what cannot be sent."""
    headers = []
    for name, value in items:
        if sent := _sent_name(name):
            headers.append((sent, header_value(name, value)))
    return headers


@functools.lru_cache(maxsize=256)
def _sent_name(name: str) -> bytes | None:
    lower = name.lower()
    return None if lower in _HOP_BY_HOP else header_name(lower)


def header_name(name: str) -> bytes:
    """A header's name as it is sent; a MalformedError for text that is no such name."""
    if not _NAME.fullmatch(name):
        raise MalformedError(f"{name!r} is not a header's name")
    return name.encode()


def header_value(name: str, value: Any) -> bytes:
    """A header's value as it is sent; numbers and booleans become text, a line break is a MalformedError."""
    if isinstance(value, (int, float)):
        value = str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise MalformedError(f"the header {name!r} has a value that cannot be sent")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def error_summary(outcome: Outcome) -> str:
    """The error object of a failed invocation in a few words, for the console."""
    found = outcome.value
    if not isinstance(found, dict):
        return "unreadable error"
    return f"{found.get('errorType', 'error')}: {found.get('errorMessage', '')}"


def _status(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value)
    if type(value) is not int or not 200 <= value <= 599:
        raise MalformedError(f"statusCode is {value!r}")
    return value


def _body(value: dict[str, Any], *, decode: bool) -> bytes:
    body = value.get("body")
    if body is None:
        return b""
    if not isinstance(body, (str, bytes)):
        raise MalformedError("body is not a string")
    if not decode or value.get("isBase64Encoded") is not True:
        return body.encode() if isinstance(body, str) else body
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedError("body is not base64, though isBase64Encoded says so") from None
