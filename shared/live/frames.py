"""What a connection receives: messages as `history` has them, and system frames. Each is one text frame of JSON."""

from typing import Final

import msgspec

from shared import clock
from shared.entities import ADDRESSED_MESSAGE_TYPES, BROADCAST, INSTRUCTOR, STUDENT, Message

HISTORY_COMPLETE: Final = "history_complete"
HISTORY_UNAVAILABLE: Final = "history_unavailable"
MESSAGE_ERROR: Final = "message_error"
SESSION_ENDED: Final = "session_ended"

_encode = msgspec.json.Encoder().encode


def message_frame(message: Message) -> bytes:
    """A message's frame."""
    return _encode(message)


def history_complete() -> bytes:
    """The frame after the history."""
    return _system(HISTORY_COMPLETE, message="Message history loaded")


def history_unavailable() -> bytes:
    """The frame instead of a history that cannot be read."""
    return _system(HISTORY_UNAVAILABLE, message="Unable to load message history")


def message_error(detail: str, code: str) -> bytes:
    """The frame for the sender of a message that was not stored; detail and code are those of the problem."""
    return _system(MESSAGE_ERROR, message="Message could not be delivered", error=detail, code=code)


def session_ended() -> bytes:
    """The last frame of every connection of a session that has ended."""
    return _system(SESSION_ENDED, reason="Session ended by instructor")


def replaced() -> bytes:
    """The last frame of a connection whose user has connected again."""
    return _system(SESSION_ENDED, reason="Connection replaced by new instance")


def _system(event: str, **content: str) -> bytes:
    """The clients read the event from `content` or from `context`, so both have it."""
    frame = {"type": "system", "context": event, "content": {"event": event, **content}, "timestamp": clock.now()}
    return _encode(frame)


def is_for(message: Message, user_id: str, role: str) -> bool:
    """Whether somebody who is connected gets a message live. Its sender gets none of it back."""
    if message.from_user == user_id:
        return False
    if message.type in ADDRESSED_MESSAGE_TYPES:
        return message.to_user == user_id
    return role == (STUDENT if message.type == BROADCAST else INSTRUCTOR)
