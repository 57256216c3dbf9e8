"""`$default` of the WebSocket API: store the message in a frame, and deliver it."""

from collections.abc import Callable

from shared import environment
from shared.requests import SendMessage, frame_draft
from shared.sockets import Frame, frame_endpoint

environment.import_live()


@frame_endpoint
def handler(frame: Frame, seconds_left: Callable[[], float]) -> None:
    """Nothing for a message that was stored; a `message_error` frame, which the sender gets, for any other frame."""
    sender = frame.sender
    draft = frame_draft(sender.session_id, sender.user_id, frame.body(SendMessage))
    environment.live().receive(draft, sender.role, seconds_left)
