"""The edge to WebSocket APIs, and to invocations without an answer: event -> frame, error -> `message_error`.

Events are those of API Gateway's WebSocket APIs. Who sends a frame, and in which session, was decided by the handshake:
the gateway passes the context that `authorize` answered then, with every later event of the connection.
"""

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from shared import clock, errors, requests
from shared.live import frames
from shared.shapes import prepared

log = logging.getLogger(__name__)

Event = Mapping[str, Any]
T = TypeVar("T")

_WITHOUT_CONTEXT = 25.0  # seconds that an invocation has when nobody says how many


class _Handshake(msgspec.Struct):
    """The context of the handshake's authorizer."""

    user_id: str
    role: str
    session_id: str


class _Context(msgspec.Struct, rename="camel"):
    connection_id: str
    authorizer: _Handshake | None = None


@prepared
class _Event(msgspec.Struct, rename="camel"):
    """The fields of an event that are read."""

    request_context: _Context
    body: str | None = None
    is_base64_encoded: bool | None = None


class Frame:
    """A frame, or the end of a connection, with who sent it."""

    def __init__(self, event: Event) -> None:
        """Raises `InvalidRequestError`, `UnauthenticatedError`."""
        try:
            self._event = msgspec.convert(event, _Event)
        except msgspec.ValidationError as error:
            raise errors.InvalidRequestError(f"event: {error}") from None
        if self._event.request_context.authorizer is None:
            raise errors.UnauthenticatedError
        self.connection_id = self._event.request_context.connection_id
        self.sender = self._event.request_context.authorizer

    def body(self, kind: type[T]) -> T:
        """The typed JSON body. Raises `InvalidRequestError`, `ContentTooLargeError`."""
        if self._event.is_base64_encoded:
            raise errors.InvalidRequestError("request body: a binary frame, it must be a text frame")
        return requests.parse_body((self._event.body or "").encode("utf-8", "surrogatepass"), kind)


def seconds_left(context: Any) -> Callable[[], float]:
    """A function that says how many seconds an invocation has left."""
    if hasattr(context, "get_remaining_time_in_millis"):
        return lambda: float(context.get_remaining_time_in_millis()) / 1000
    deadline = clock.elapsed() + _WITHOUT_CONTEXT
    return lambda: deadline - clock.elapsed()


def frame_endpoint(
    handle: Callable[[Frame, Callable[[], float]], None],
) -> Callable[[Event, Any], dict[str, Any]]:
    """Make a handler of a function that takes a frame and the seconds that are left.

    An error becomes a `message_error` frame. The gateway sends it to the connection where the route has a response;
    the status is 200, because the frame is the answer.
    """
    function = handle.__module__.rpartition(".")[2]

    @functools.wraps(handle)
    def handler(event: Event, context: Any) -> dict[str, Any]:
        try:
            handle(Frame(event), seconds_left(context))
        except errors.SwitchboardError as error:
            if isinstance(error, errors.DatabaseError | errors.ConfigurationError):
                log.error("%s: %s: %s", function, error.code, error, exc_info=error.__cause__)  # noqa: TRY400
            return _refusal(error)
        except Exception:
            log.exception("%s failed", function)
            return _refusal(errors.SwitchboardError())
        return {"statusCode": 200}

    return handler


def _refusal(error: errors.SwitchboardError) -> dict[str, Any]:
    detail = str(error).encode("utf-8", "backslashreplace").decode()
    return {"statusCode": 200, "body": frames.message_error(detail, error.code).decode()}
