"""The shapes of the service: what a session and a message are, and how they look on the wire, through msgspec."""

from typing import Final

import msgspec

from shared.shapes import prepared

STUDENT: Final = "student"
INSTRUCTOR: Final = "instructor"

ERASED: Final = "erased"
"""Who stands in the place of an erased user. Nobody can have this user id."""

ACTIVE: Final = "active"
ENDED: Final = "ended"

STUDENT_MESSAGE_TYPES: Final = ("instructor_inbox", "request_response", "analytics")
INSTRUCTOR_MESSAGE_TYPES: Final = ("inbox_response", "request", "instructor_broadcast")
ADDRESSED_MESSAGE_TYPES: Final = ("inbox_response", "request")
BROADCAST: Final = "instructor_broadcast"
DEFAULT_CONTEXT: Final = "general"


@prepared
class Session(msgspec.Struct, frozen=True):
    """A classroom session. Times are text in the format of `shared.clock`; `end_time` is None while active."""

    id: str
    name: str
    created_by: str
    student_ids: tuple[str, ...]
    start_time: str
    end_time: str | None = None
    status: str = ACTIVE


class SessionFilter(msgspec.Struct, frozen=True):
    """Which sessions to list; None lets all pass."""

    status: str | None = ACTIVE
    created_by: str | None = None
    student_id: str | None = None


class FoundSessions(msgspec.Struct, frozen=True):
    """Sessions that match a filter, whether there are more after them, and how many match in all."""

    sessions: list[Session]
    more: bool
    total: int


class MessageDraft(msgspec.Struct, frozen=True):
    """A message as its sender gives it; the storage adds id, order and time.

    `content` is compact UTF-8 JSON. It is empty, and `shared.rules` refuses it, when JSON cannot express what was sent.
    """

    session_id: str
    type: str
    context: str
    from_user: str
    to_user: str | None
    content: msgspec.Raw


@prepared
class Message(msgspec.Struct, frozen=True):
    """A stored message. `content` stays JSON text: it is spliced into answers, never parsed and dumped again."""

    id: str
    session_id: str
    type: str
    context: str
    from_user: str
    to_user: str | None
    content: msgspec.Raw
    timestamp: str


class HistoryPage(msgspec.Struct, frozen=True):
    """Messages of a session, the sequence of the last one, and whether there are more behind it."""

    messages: list[Message]
    last: int
    more: bool


class Reader(msgspec.Struct, frozen=True):
    """Who reads a history."""

    user_id: str
    role: str


class Caller(msgspec.Struct, frozen=True):
    """Who calls, as it was verified: a user id of the contract, and `student` or `instructor`."""

    user_id: str
    role: str


class IdempotencyKey(msgspec.Struct):
    """A caller's `Idempotency-Key`, the function and session that it belongs to, and a fingerprint of the request.

    The database sets `replayed`: whether the answer is that of an earlier call.
    """

    scope: str
    key: str
    fingerprint: str
    replayed: bool = False


class Lease(msgspec.Struct):
    """The right to deliver the messages of a session, for a limited time. One holder of a session has it.

    The database sets `token` when it gives the lease; it is empty before.
    """

    session_id: str
    token: str = ""
