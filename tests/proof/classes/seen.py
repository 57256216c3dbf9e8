"""What one round has seen: each connection's frames, the histories, the ends, and which processes were killed.

All times are in seconds of CLOCK_MONOTONIC.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple

COMPLETE: Final = "history_complete"
ENDED: Final = "session_ended"
REPLACED: Final = "replaced"
"""The name here of `session_ended` for a connection whose user has connected again."""
REFUSED: Final = "message_error"
FAILED: Final = "failed"
"""The name here of the gateway's own error, for a message whose function has failed."""
MALFORMED: Final = "malformed"
"""A frame that breaks the published clients."""

MESSAGE_TYPES: Final = frozenset(
    ("instructor_inbox", "inbox_response", "request", "request_response", "analytics", "instructor_broadcast")
)
_REPLACED_REASON = "Connection replaced by new instance"


class Frame(NamedTuple):
    """A frame that a client has received: a message by its id, or another one by the name of its event."""

    at: float
    message: str = ""
    event: str = ""


class Message(NamedTuple):
    """A message of a history."""

    id: str
    token: str
    type: str
    from_user: str
    to_user: str | None


class Departure(Enum):
    """How a connection came to its end on the client's side."""

    STAYED = "the client waited until the server closed"
    CLOSED = "the client closed"
    DROPPED = "the client cut the TCP connection"


@dataclass
class Connection:
    """One connection that was accepted. `asked` is before its handshake, `opened` after it."""

    session_id: str
    user_id: str
    role: str
    asked: float
    opened: float
    frames: list[Frame] = field(default_factory=list)
    departure: Departure = Departure.STAYED
    closed: float = math.inf

    @property
    def name(self) -> str:
        """Who that is, for a finding."""
        return f"{self.user_id} ({self.role}) in {self.session_id}, connected at {self.opened:.3f}"

    def events(self, *names: str) -> list[float]:
        """When frames with one of these events came."""
        return [frame.at for frame in self.frames if frame.event in names]


class Death(NamedTuple):
    """A container that was killed."""

    at: float
    function: str


class End(NamedTuple):
    """The calls that ended a session: from the begin of the first one to the first answer that tells of the end."""

    begin: float
    answered: float


@dataclass
class Seen:
    """Everything that one round has seen."""

    connections: list[Connection] = field(default_factory=list)
    histories: dict[str, list[Message]] = field(default_factory=dict)
    ends: dict[str, End] = field(default_factory=dict)
    stored: dict[str, float] = field(default_factory=dict)
    """Token -> when the answer to its store came."""
    deaths: list[Death] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Connections that are in the tables a minute after everything was over, and wrong counts of them."""

    def died(self, after: float, until: float) -> Iterator[Death]:
        """The containers that were killed in this time."""
        return (death for death in self.deaths if after <= death.at <= until)

    def of_users(self) -> dict[tuple[str, str], list[Connection]]:
        """The connections of each user to each session, in the order of their handshakes."""
        found = defaultdict(list)
        for connection in sorted(self.connections, key=lambda one: one.opened):
            found[connection.session_id, connection.user_id].append(connection)
        return found


def frame_of(text: str | bytes, at: float) -> Frame:
    """A frame as a client has received it."""
    try:
        value: Any = json.loads(text)
    except ValueError:
        return Frame(at, event=MALFORMED)
    if not isinstance(value, dict) or isinstance(text, bytes):
        return Frame(at, event=MALFORMED)
    if value.keys() == {"message", "connectionId", "requestId"}:
        return Frame(at, event=FAILED)
    content = value.get("content")
    if not isinstance(content, dict):
        return Frame(at, event=MALFORMED)
    if value.get("type") in MESSAGE_TYPES and value.get("id"):
        return Frame(at, message=value["id"])
    event = content.get("event")
    if value.get("type") != "system" or value.get("context") != event or not event or "timestamp" not in value:
        return Frame(at, event=MALFORMED)
    return Frame(at, event=REPLACED if content.get("reason") == _REPLACED_REASON else event)
