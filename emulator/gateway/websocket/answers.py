"""What a client gets of a function's result, and what the gateway itself answers."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from emulator.containers import Fault, Outcome
from emulator.gateway.function_result import MalformedError, error_summary, response_of, value_of
from emulator.gateway.response import JSON_TYPE, Response
from emulator.gateway.websocket.connection import MAX_MESSAGE, Connection

FAILED = "Internal server error"
TIMED_OUT = "Endpoint request timed out"
FORBIDDEN = "Forbidden"
UNAUTHORIZED = "Unauthorized"

_PROTOCOL = b"sec-websocket-protocol"


class Failure(NamedTuple):
    """Why there is no result: the message for the client, and the note for the console."""

    message: str
    note: str


def error(connection: Connection, message: str, request_id: str) -> str:
    """An error as a client receives it."""
    return json.dumps({"message": message, "connectionId": connection.id, "requestId": request_id})


def refusal(connection: Connection, status: int, message: str, request_id: str, note: str) -> Response:
    """The response to a handshake that the gateway refuses."""
    return Response(status, error(connection, message, request_id).encode(), [JSON_TYPE], note)


def failure(outcome: Outcome | None) -> Failure | None:
    """None for a function that has answered. An outcome that is None is the gateway's own time limit."""
    if outcome is None:
        return Failure(TIMED_OUT, "timed out")
    if outcome.fault is None:
        return None
    if outcome.fault is Fault.TIMED_OUT:
        return Failure(FAILED, "timed out")
    if outcome.fault is Fault.THROTTLED:
        return Failure(FAILED, "every container is busy")
    return Failure(FAILED, error_summary(outcome))


def connect(connection: Connection, outcome: Outcome | None, request_id: str) -> Response | None:
    """The response to a handshake that the function of `$connect` refuses, None for one that it accepts.

    The subprotocol that the function chooses by a header is noted on the connection.
    """
    failed = failure(outcome)
    if failed or outcome is None:
        message, note = failed or ("", "")
        return refusal(connection, 504 if outcome is None else 502, message, request_id, note)
    try:
        response = response_of(_object(outcome))
    except (MalformedError, UnicodeError) as problem:
        return refusal(connection, 502, FAILED, request_id, f"malformed answer: {problem}")
    if not 200 <= response.status < 300:
        return response
    connection.subprotocol = next((value.decode() for name, value in response.headers if name == _PROTOCOL), None)
    return None


def message(outcome: Outcome | None, *, responds: bool) -> str | Failure | None:
    """What the sender of a message gets: with `responds` the `body` of the function's answer, if it is a text."""
    failed = failure(outcome)
    if failed or outcome is None or not responds:
        return failed
    try:
        body = _object(outcome).get("body")
    except MalformedError as problem:
        return Failure(FAILED, f"malformed answer: {problem}")
    text = body.decode() if isinstance(body, bytes) else body
    if not isinstance(text, str):
        return None
    if len(text.encode()) > MAX_MESSAGE:
        return Failure(FAILED, f"the body is larger than {MAX_MESSAGE:,} bytes")
    return text


def _object(outcome: Outcome) -> dict[str, Any]:
    value = value_of(outcome)
    if not isinstance(value, dict):
        raise MalformedError("it is not an object")
    return value
