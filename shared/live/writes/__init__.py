"""What each write of the live classroom does inside its transaction: one module for each engine.

Writes that change both a delivery and connections lock the delivery first.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from shared.engines import Engine
from shared.entities import Lease
from shared.live.entities import Connection, Delivered, Progress, Replaying
from shared.live.statements import LiveStatements
from shared.writes import Change

if TYPE_CHECKING:
    from peewee import Database


class LiveWrites(Protocol):
    """The writes. A lease that is taken with a token may be taken again with it: each write may be repeated."""

    def connect(self, connection: Connection, token: str) -> Change[None]:
        """Add a connection to an active session; its replay has the lease with the token.

        An earlier connection of the user becomes a replaced one. Raises `SessionNotFoundError`, `SessionEndedError`.
        """

    def remove(self, session_id: str, connection_ids: Sequence[str]) -> Change[None]:
        """Remove those of these connections that are there. One lock for all: they are of one session."""

    def take(self, session_id: str, handed: str, token: str) -> Change[bool]:
        """Take the lease of a session's delivery from whoever handed it over, or when nobody has it."""

    def renew(self, lease: Lease) -> Change[bool]:
        """Renew the lease of a delivery; False when it is lost."""

    def settle(self, lease: Lease, page: Delivered) -> Change[Progress]:
        """Record what was delivered, and renew the lease or give it back.

        It is given back when no message is left. An ended session has more to do until its connections are closed.
        Connections that are gone are removed. Those that are behind are to be served by a replay: its lease has the
        token of this one.
        """

    def give_back(self, lease: Lease) -> Change[None]:
        """Give the lease back, although something may be left."""

    def take_replay(self, session_id: str, connection_id: str, handed: str, token: str) -> Change[Replaying | None]:
        """Take the lease of a replay from whoever handed it over, or when it has expired; None when it is lost."""

    def advance(self, session_id: str, connection_id: str, token: str, position: int) -> Change[bool]:
        """Record how far a replay is, and renew its lease; False when it is lost."""

    def go_live(self, session_id: str, connection_id: str, token: str, position: int) -> Change[tuple[Progress, int]]:
        """Make a connection live that has its messages up to `position`, if there are no later ones.

        Otherwise renew the lease. With the progress comes the sequence of the session's last message.
        """


def live_classes_for(kind: str) -> tuple[Callable[["Database"], LiveStatements], Callable[[Any], LiveWrites]]:
    """Import the classes of an engine's statements and writes, by its kind."""
    if kind == "sqlite":
        from shared.live.writes.sqlite import SqliteLiveStatements, SqliteLiveWrites

        return SqliteLiveStatements, SqliteLiveWrites
    from shared.live.writes.postgresql import PostgresqlLiveStatements, PostgresqlLiveWrites

    return PostgresqlLiveStatements, PostgresqlLiveWrites


def live_writes_of(engine: Engine) -> tuple[LiveStatements, LiveWrites]:
    """The statements and writes for an engine."""
    statements_class, writes_class = live_classes_for(engine.kind)
    statements = statements_class(engine.dialect)
    return statements, writes_class(statements)
