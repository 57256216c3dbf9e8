"""An HTTP response of the gateway, and the errors that the gateway answers itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, and values, in the order in which they are sent."""

JSON_TYPE = (b"content-type", b"application/json")


@dataclass(slots=True)
class Response:
    """A response on its way to the client."""

    status: int
    body: bytes = b""
    headers: Headers = field(default_factory=list)
    note: str = ""
    """What the console adds to the request's line."""
    lost: bool = False
    """Whether the connection is closed instead of sending it."""


def error_response(status: int, message: str | None, note: str = "") -> Response:
    """An error of the gateway itself: `{"message": ...}`; the note is shown only on the console."""
    return Response(status, json.dumps({"message": message}, separators=(",", ":")).encode(), [JSON_TYPE], note)


def too_large() -> Response:
    """The error for a body over the gateway's limit, or an event over Lambda's."""
    return error_response(413, "Request Entity Too Large")
