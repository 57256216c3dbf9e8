"""LiveDatabase: every read and write of connections and deliveries, on the engine and writer of the `DatabaseManager`.

Times are read here, leases are valid for `shared.writes.LEASE`. Every method may raise the `DatabaseError` family.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

import msgspec

from shared import clock
from shared.engines import Connection as Reader
from shared.engines import Engine
from shared.entities import ENDED, Lease, Message
from shared.identifiers import new_id
from shared.live.entities import (
    LIVE,
    Connection,
    Delivered,
    Leftovers,
    Outstanding,
    Participant,
    Progress,
    Recipient,
    Replaying,
)
from shared.live.writes import live_writes_of
from shared.writer import Writer
from shared.writes import Change

PAGE = 100
"""Messages that are read at once: with the largest content they take about 7 MB."""

CONNECTION_LIFE = timedelta(hours=2)
"""API Gateway closes a connection after this time at the latest."""

_LEFTOVERS = 1000  # of each kind that one sweep takes

T = TypeVar("T")


class LiveDatabase:
    """Connections, leases and what is delivered."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer
        self._sql, self._writes = live_writes_of(engine)

    # --- who is connected

    def connect(self, connection: Connection) -> str:
        """Add a connection to an active session, and return the token of its replay's lease.

        An earlier connection of the same user to the session becomes a replaced one. Raises `SessionNotFoundError`,
        `SessionEndedError`.
        """
        token = new_id()
        self._write(self._writes.connect(connection, token))
        return token

    def remove(self, session_id: str, connection_ids: Sequence[str]) -> None:
        """Remove those of these connections of one session that are there."""
        self._write(self._writes.remove(session_id, connection_ids))

    def participants(self, session_id: str) -> list[Participant]:
        """Who is connected, in the order of their coming."""
        return [Participant(*row) for row in self._engine.fetch(self._sql.participants, (session_id,))]

    def counts(self, session_ids: Sequence[str]) -> dict[str, int]:
        """How many connections each session has, without replaced ones; no entry for none."""
        if not session_ids:
            return {}
        return dict(self._engine.fetch(self._sql.counts, (self._sql.ids(session_ids),)))

    def replaced(self, session_id: str, user_id: str) -> list[str]:
        """The ids of the replaced connections of a user that were not closed yet."""
        return [row[0] for row in self._engine.fetch(self._sql.replaced, (session_id, user_id))]

    # --- delivery

    def take(self, session_id: str, handed: str = "") -> Lease | None:
        """Take the lease of a session's delivery from whoever handed it over, or when nobody has it.

        The lease gets a new token: of two calls with the same `handed` token one gets the lease.
        """
        token = new_id()
        return Lease(session_id, token) if self._write(self._writes.take(session_id, handed, token)) else None

    def renew(self, lease: Lease) -> bool:
        """Renew a lease; False when it is lost."""
        return self._write(self._writes.renew(lease))

    def give_back(self, lease: Lease) -> None:
        """Give a lease back although something may be left: the next message, or a sweep, goes on."""
        self._write(self._writes.give_back(lease))

    def outstanding(self, lease: Lease) -> Outstanding | None:
        """The next page of messages and everybody who is live, from one state of the database; None without the lease.

        So a connection that is missing here became live after these messages, and has them from its replay.
        """
        session_id = lease.session_id

        def read(reader: Reader) -> Outstanding | None:
            delivery = reader.execute(self._sql.delivery, (session_id,))
            current = reader.execute(self._sql.current, (session_id,))
            page = reader.execute(self._sql.undelivered, (session_id, session_id, PAGE + 1))
            rows = page.fetchall()  # the last statement first: in a pipeline all answers then take one round trip
            for status, token, delivered in delivery.fetchall():
                if token == lease.token:
                    recipients = [Recipient(*row) for *row, state in current.fetchall() if state == LIVE]
                    messages = [(sequence, _message(session_id, *row)) for sequence, *row in rows[:PAGE]]
                    return Outstanding(status == ENDED, delivered, recipients, messages, len(rows) > PAGE)
            return None

        return self._engine.snapshot(read)

    def settle(self, lease: Lease, page: Delivered) -> Progress:
        """Record what became of the outstanding messages.

        MORE: something is left, and the lease is renewed. DONE: nothing is left, and the lease is given back. LOST:
        nothing was changed. A connection that is behind is then served by a replay, which is handed the lease's token.
        """
        return self._write(self._writes.settle(lease, page))

    # --- replay

    def take_replay(self, session_id: str, connection_id: str, handed: str = "") -> tuple[str, Replaying] | None:
        """Take the lease of a connection's replay, as `take` does; with its new token. None when it is lost."""
        token = new_id()
        found = self._write(self._writes.take_replay(session_id, connection_id, handed, token))
        return None if found is None else (token, found)

    def advance(self, connection: Connection, token: str, position: int) -> bool:
        """Record how far a replay is, and renew its lease; False when it is lost."""
        return self._write(self._writes.advance(connection.session_id, connection.connection_id, token, position))

    def go_live(self, connection: Connection, token: str, position: int) -> tuple[Progress, int]:
        """Make a connection live that has its messages up to `position`, if there are no later ones.

        DONE: it is live. ENDED: there are none, and the session has ended. MORE: the lease is renewed. With the
        progress comes the sequence of the session's last message.
        """
        return self._write(self._writes.go_live(connection.session_id, connection.connection_id, token, position))

    # --- what dead containers left

    def leftovers(self) -> Leftovers:
        """What no living container does: its lease has expired, or the gateway has closed the connection long ago."""
        now, limit = clock.now(), _LEFTOVERS
        fetch = self._engine.fetch
        return Leftovers(
            [row[0] for row in fetch(self._sql.outstanding_sessions, (now, limit))],
            [(row[0], row[1]) for row in fetch(self._sql.expired_replays, (now, limit))],
            [(row[0], row[1]) for row in fetch(self._sql.left_replaced, (now, limit))],
            [(row[0], row[1]) for row in fetch(self._sql.old, (clock.ago(CONNECTION_LIFE), limit))],
            bool(fetch(self._sql.leased, (now, now))),
        )

    def _write(self, change: Change[T]) -> T:
        return self._writer.write(change.run, atomic=change.atomic, order=change.order)


def _message(
    session_id: str,
    message_id: str,
    kind: str,
    context: str,
    from_user: str,
    to_user: str | None,
    content: str,
    timestamp: str,
) -> Message:
    return Message(message_id, session_id, kind, context, from_user, to_user, msgspec.Raw(content), timestamp)
