"""The response of an HTTP API to a function's result in payload format 2.0."""

from __future__ import annotations

from typing import Any

from emulator.containers import Fault, Outcome
from emulator.gateway.function_result import MalformedError, error_summary, header_value, response_of, value_of
from emulator.gateway.response import JSON_TYPE, Headers, Response, error_response


def http_api(outcome: Outcome) -> Response:
    """The response to whatever came of the invocation, its faults included."""
    if outcome.fault is not None:
        return failure(outcome)
    try:
        value = value_of(outcome)
        if not isinstance(value, dict) or "statusCode" not in value:
            return _inferred(value, outcome.payload)
        response = response_of(value)
        if cookies := value.get("cookies"):
            response.headers += _cookies(cookies)
    except (MalformedError, UnicodeError) as problem:
        return error_response(500, "Internal Server Error", f"malformed answer: {problem}")
    return response


def failure(outcome: Outcome) -> Response:
    """The error of an HTTP API, whatever its payload format, for an invocation that failed."""
    if outcome.fault is Fault.TIMED_OUT:
        return error_response(503, "Service Unavailable", "timed out")
    if outcome.fault is Fault.THROTTLED:
        return error_response(429, "Too Many Requests", "every container is busy")
    return error_response(500, "Internal Server Error", error_summary(outcome))


def _cookies(given: Any) -> Headers:
    if not isinstance(given, list):
        raise MalformedError("cookies is not a list")
    return [(b"set-cookie", header_value("cookies", cookie)) for cookie in given]


def _inferred(value: Any, payload: bytes) -> Response:
    """Without a statusCode the value itself is the body: a string as it is, anything else as JSON."""
    return Response(200, value.encode() if isinstance(value, str) else payload, [JSON_TYPE])
