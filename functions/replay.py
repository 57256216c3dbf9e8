"""Started by `connect`: send a new connection the history of its session, and make it live."""

from typing import Any

from shared import environment
from shared.sockets import seconds_left

environment.import_live()


def handler(event: dict[str, Any], context: Any) -> None:
    """The event is `{"session_id", "connection_id", "token"}`. Nobody waits for an answer."""
    environment.live().replay(event, seconds_left(context))
