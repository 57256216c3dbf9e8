"""What the live classroom keeps: connections, and what is outstanding for them."""

from enum import Enum
from typing import Final, NamedTuple

from shared.entities import Message

REPLAYING: Final = "replaying"
"""The connection gets its history; `history_complete` was not sent."""
CATCHING_UP: Final = "catching_up"
"""`history_complete` was sent; the replay sends what was stored meanwhile."""
LIVE: Final = "live"
"""Every later message is delivered."""
REPLACED: Final = "replaced"
"""The same user has connected again: the connection has to hear that and to be closed."""


class Connection(NamedTuple):
    """A connection as its handshake made it. Times are text in the format of `shared.clock`."""

    connection_id: str
    session_id: str
    user_id: str
    role: str
    connected_at: str


class Participant(NamedTuple):
    """Who is connected to a session, and since when."""

    user_id: str
    role: str
    connected_at: str


class Recipient(NamedTuple):
    """A live connection. It has every message up to the sequence `position`."""

    connection_id: str
    user_id: str
    role: str
    position: int


class Outstanding(NamedTuple):
    """What one state of the database has for delivery. `messages` come with their sequences, in order."""

    ended: bool
    delivered: int
    recipients: list[Recipient]
    messages: list[tuple[int, Message]]
    more: bool


class Delivered(NamedTuple):
    """What became of the outstanding messages up to the sequence `delivered`.

    `gone` are connections to remove. `behind` are connections that could not be reached, with the sequence that each
    has. `closed` says that the session has ended and that its other connections were closed.
    """

    delivered: int
    gone: tuple[str, ...] = ()
    behind: tuple[tuple[str, int], ...] = ()
    closed: bool = False


class Replaying(NamedTuple):
    """A connection whose replay has the lease. `sequence` is that of the session's last message, or an earlier one."""

    connection: Connection
    state: str
    position: int
    sequence: int


class Progress(Enum):
    """What is left after a step of a delivery or of a replay."""

    LOST = "the lease is somebody else's, or the connection is gone"
    MORE = "there are later messages"
    DONE = "there are none"
    ENDED = "there are none, and the session has ended"


class Leftovers(NamedTuple):
    """What dead containers left. `leased` is whether somebody has a lease that may turn out to be left too."""

    sessions: list[str]
    replays: list[tuple[str, str]]
    replaced: list[tuple[str, str]]
    expired: list[tuple[str, str]]
    leased: bool
