"""Started by `store` and `end`: deliver a session's outstanding messages. As a schedule: finish what was left."""

from typing import Any

from shared import environment
from shared.sockets import seconds_left

environment.import_live()


def handler(event: dict[str, Any], context: Any) -> None:
    """The event is `{"session_id", "token"}`, or the schedule's. Nobody waits for an answer."""
    environment.live().deliver(event, seconds_left(context))
