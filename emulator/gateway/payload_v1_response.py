"""The response to a function's result in payload format 1.0, with the errors of a REST API or an HTTP API.

A REST API answers 200 where a result has no `statusCode`. An HTTP API infers nothing in this format.
"""

from __future__ import annotations

from typing import Any

from emulator.containers import Fault, Outcome
from emulator.gateway import payload_v2_response
from emulator.gateway.function_result import (
    TEXT_TYPE,
    MalformedError,
    error_summary,
    headers_of,
    response_of,
    value_of,
)
from emulator.gateway.response import JSON_TYPE, Response, error_response
from emulator.gateway.rest import rest_errors

_KEYS = frozenset({"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"})


def rest_api(outcome: Outcome | None, *, decode: bool) -> Response:
    """The response of a REST API; `None` means that the API's own time limit has passed.

    With `decode`, a body that is marked as base64 is sent as the bytes that it stands for.
    """
    if outcome is None or outcome.fault is Fault.TIMED_OUT:
        return rest_errors.failed(504, "Endpoint request timed out", "timed out")
    if outcome.fault is Fault.THROTTLED:
        return rest_errors.error(429, "Too Many Requests", "TooManyRequestsException", "every container is busy")
    if outcome.fault is not None:
        return rest_errors.failed(502, "Internal server error", error_summary(outcome))
    try:
        return _complete(outcome, {"statusCode": 200}, decode=decode)
    except (MalformedError, UnicodeError) as problem:
        return rest_errors.failed(502, "Internal server error", f"malformed answer: {problem}")


def http_api(outcome: Outcome) -> Response:
    """The response of an HTTP API with payload format 1.0, with an HTTP API's errors."""
    if outcome.fault is not None:
        return payload_v2_response.failure(outcome)
    try:
        return _complete(outcome, {}, decode=True)
    except (MalformedError, UnicodeError) as problem:
        return error_response(500, "Internal Server Error", f"malformed answer: {problem}")


def _complete(outcome: Outcome, defaults: dict[str, Any], *, decode: bool) -> Response:
    value = value_of(outcome)
    if not isinstance(value, dict):
        raise MalformedError("not an object")
    if unknown := value.keys() - _KEYS:
        raise MalformedError(f"{', '.join(sorted(map(repr, unknown)))} is not a key of an answer in format 1.0")
    value = {**defaults, **value}
    several = value.get("multiValueHeaders") or {}
    if not isinstance(several, dict):
        raise MalformedError("multiValueHeaders is not an object")
    response = response_of(value, decode=decode)
    added = headers_of((name, value) for name, values in several.items() for value in _list(name, values))
    # For a name that is in both, only the values of multiValueHeaders are used.
    names = {name for name, _ in added}
    response.headers[:] = [item for item in response.headers if item[0] not in names] + added
    if TEXT_TYPE in response.headers:
        response.headers[response.headers.index(TEXT_TYPE)] = JSON_TYPE
    return response


def _list(name: str, values: Any) -> list[Any]:
    if not isinstance(values, list):
        raise MalformedError(f"the values of {name!r} are not a list")
    return values
