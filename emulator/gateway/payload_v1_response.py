"""Answers in payload format 1.0: nothing inferred, and errors in a REST API's words."""

from __future__ import annotations

from typing import Any

import msgspec

from emulator.containers import Fault, Outcome
from emulator.gateway import payload_v2_response
from emulator.gateway.payload_v2_response import JSON_TYPE, Headers, MalformedError, Response
from emulator.manifest.triggers import DEFAULT_CORS_HEADERS

_decode = msgspec.json.Decoder().decode


def rest_api(outcome: Outcome | None) -> Response:
    """The response of a REST API; None stands for its own time-out."""
    if outcome is None or outcome.fault is Fault.TIMED_OUT:
        return payload_v2_response.error(504, "Endpoint request timed out", "timed out")
    if outcome.fault is Fault.THROTTLED:
        return payload_v2_response.error(429, "Too Many Requests", "every container is busy")
    if outcome.fault is not None:
        return payload_v2_response.error(502, "Internal server error", payload_v2_response.told(outcome))
    try:
        return _complete(outcome)
    except (MalformedError, msgspec.DecodeError) as problem:
        return payload_v2_response.error(502, "Internal server error", f"malformed answer: {problem}")


def http_api(outcome: Outcome) -> Response:
    """The response of an HTTP API with payload format 1.0: its own errors, but as little inferred."""
    if outcome.fault is not None:
        return payload_v2_response.http_api(outcome)
    try:
        return _complete(outcome)
    except (MalformedError, msgspec.DecodeError) as problem:
        return payload_v2_response.error(500, "Internal Server Error", f"malformed answer: {problem}")


def preflight(methods: list[str]) -> Response:
    """What the framework's OPTIONS method answers where a route has `cors: true`."""
    return Response(
        200,
        b"",
        [
            JSON_TYPE,
            (b"access-control-allow-origin", b"*"),
            (b"access-control-allow-headers", ",".join(DEFAULT_CORS_HEADERS).encode()),
            (b"access-control-allow-methods", ",".join(["OPTIONS", *methods]).encode()),
        ],
    )


def _complete(outcome: Outcome) -> Response:
    value = _decode(outcome.payload)
    if not isinstance(value, dict):
        raise MalformedError("not an object")
    several = value.get("multiValueHeaders") or {}
    if not isinstance(several, dict):
        raise MalformedError("multiValueHeaders is not an object")
    response = payload_v2_response.described({"statusCode": 200, **value})
    added = [item for name, values in several.items() for item in _values(name, values)]
    # A name that stands in both has the values of multiValueHeaders alone.
    names = {name for name, _ in added}
    response.headers[:] = [item for item in response.headers if item[0] not in names] + added
    if response.headers and payload_v2_response.TEXT_TYPE in response.headers:
        response.headers[response.headers.index(payload_v2_response.TEXT_TYPE)] = JSON_TYPE
    return response


def _values(name: str, values: Any) -> Headers:
    if not isinstance(values, list):
        raise MalformedError(f"the values of {name!r} are not a list")
    return [
        (payload_v2_response.header_name(name.lower()), payload_v2_response.header_value(name, value))
        for value in values
    ]
