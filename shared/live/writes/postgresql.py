"""The live classroom's writes on PostgreSQL. Each is one statement, as in `shared.writes.postgresql`.

A statement reads other rows as they were when it began, but a row that it waited for as it is now. So a statement that
depends on a session's delivery begins by locking the session head, and takes the values of that row from there.
"""

from collections.abc import Sequence
from functools import cached_property

from peewee import SQL
from peewee import Database as PeeweeDatabase

from shared import clock
from shared.engines import Connection as Database
from shared.engines.postgresql.errors import lost_race
from shared.entities import ENDED, Lease
from shared.errors import SessionEndedError, SessionNotFoundError
from shared.live.entities import Connection, Delivered, Progress, Replaying
from shared.live.statements import LiveStatements
from shared.models import SessionHeadRow
from shared.writer import Deferred
from shared.writes import LEASE, Change

_HEAD = """
WITH head AS (
  SELECT session_id, status, sequence FROM session_heads WHERE session_id = %(session_id)s FOR UPDATE
)"""

_CONNECT = f"""{_HEAD}, replaced AS (
  UPDATE connections SET state = 'replaced', lease_token = NULL, lease_until = %(until)s FROM head
  WHERE connections.session_id = head.session_id AND head.status = 'active' AND user_id = %(user_id)s
    AND state <> 'replaced' AND connection_id <> %(connection_id)s
    AND NOT EXISTS (SELECT 1 FROM connections WHERE connection_id = %(connection_id)s)
  RETURNING 1
), counted AS (
  SELECT count(*) AS number FROM replaced
), added AS (
  INSERT INTO connections
    (connection_id, session_id, user_id, role, connected_at, state, position, lease_token, lease_until)
  SELECT %(connection_id)s, head.session_id, %(user_id)s, %(role)s, %(connected_at)s::timestamptz, 'replaying', 0,
    %(token)s::uuid, %(until)s::timestamptz
  FROM head, counted WHERE head.status = 'active'
  ON CONFLICT (connection_id) DO NOTHING
  RETURNING session_id
)
UPDATE session_heads SET connected = coalesce(connected, 0) + 1 - counted.number,
  delivered = CASE WHEN connected > 0 THEN delivered ELSE sequence END
FROM added, counted WHERE session_heads.session_id = added.session_id
RETURNING 1
"""

_KNOWN = "SELECT 1 FROM connections WHERE connection_id = %s"
_STATUS = "SELECT status FROM sessions WHERE id = %s"

_REMOVED = """removed AS (
  DELETE FROM connections USING head
  WHERE connections.session_id = head.session_id AND connection_id = ANY(string_to_array(%(gone)s, ' '))
  RETURNING state
), counted AS (
  SELECT count(*) FILTER (WHERE state <> 'replaced') AS number FROM removed
)"""

_REMOVE = f"""{_HEAD}, {_REMOVED}
UPDATE session_heads SET connected = connected - counted.number
FROM counted WHERE session_id = %(session_id)s AND counted.number > 0
"""

_TAKE = """
UPDATE session_heads SET delivery_token = %(token)s::uuid, delivering_until = %(until)s
WHERE session_id = %(session_id)s AND connected > 0
  AND (delivering_until IS NULL OR delivering_until < %(now)s OR delivery_token IN (%(handed)s::uuid, %(token)s::uuid))
RETURNING 1
"""

_RENEW = """
UPDATE session_heads SET delivering_until = %(until)s
WHERE session_id = %(session_id)s AND delivery_token = %(token)s
RETURNING 1
"""

_GIVE_BACK = """
UPDATE session_heads SET delivery_token = NULL, delivering_until = NULL
WHERE session_id = %(session_id)s AND delivery_token = %(token)s
"""

_MORE = "connected > counted.number AND (sequence > %(delivered)s OR (status = 'ended' AND NOT %(closed)s))"

# The last part reads `head` too: so the head is locked before it is changed. `behind` alone might come after that, and
# then a row that the statement itself has changed cannot be locked any more.
_SETTLE = f"""
WITH head AS (
  SELECT session_id FROM session_heads WHERE session_id = %(session_id)s AND delivery_token = %(token)s FOR UPDATE
), {_REMOVED}, behind AS (
  UPDATE connections SET state = 'catching_up', position = slow.position,
    lease_token = %(token)s, lease_until = %(until)s
  FROM head, (
    SELECT unnest(string_to_array(%(behind)s, ' ')) AS id,
      unnest(string_to_array(%(positions)s, ' ')::bigint[]) AS position
  ) AS slow
  WHERE connections.session_id = head.session_id AND connection_id = slow.id AND state = 'live'
)
UPDATE session_heads SET connected = connected - counted.number,
  delivered = greatest(delivered, %(delivered)s),
  delivery_token = CASE WHEN {_MORE} THEN delivery_token END,
  delivering_until = CASE WHEN {_MORE} THEN %(until)s::timestamptz END
FROM head, counted WHERE session_heads.session_id = head.session_id
RETURNING delivering_until IS NOT NULL
"""

_TAKE_REPLAY = """
UPDATE connections SET lease_token = %(token)s, lease_until = %(until)s
WHERE connection_id = %(connection_id)s AND session_id = %(session_id)s AND state IN ('replaying', 'catching_up')
  AND (lease_until < %(now)s OR lease_token IN (%(handed)s::uuid, %(token)s::uuid))
RETURNING connection_id, session_id, user_id, role, connected_at, state, position,
  (SELECT sequence FROM session_heads AS head WHERE head.session_id = connections.session_id)
"""

_ADVANCE = """
UPDATE connections SET position = %(position)s, lease_until = %(until)s
WHERE connection_id = %(connection_id)s AND lease_token = %(token)s AND state IN ('replaying', 'catching_up')
RETURNING 1
"""

# After an unknown outcome the connection may be live already: then nothing changes.
_GO_LIVE = f"""{_HEAD}
UPDATE connections SET
  state = CASE WHEN state = 'live' OR (head.sequence <= %(position)s AND head.status = 'active')
    THEN 'live' ELSE 'catching_up' END,
  position = CASE WHEN state = 'live' THEN position ELSE %(position)s END,
  lease_until = CASE WHEN state = 'live' OR (head.sequence <= %(position)s AND head.status = 'active')
    THEN NULL ELSE %(until)s::timestamptz END
FROM head
WHERE connection_id = %(connection_id)s AND connections.session_id = head.session_id
  AND lease_token = %(token)s AND state <> 'replaced'
RETURNING state, head.status, head.sequence
"""


class PostgresqlLiveStatements(LiveStatements):
    """The reads, for PostgreSQL."""

    def __init__(self, dialect: PeeweeDatabase) -> None:
        super().__init__(dialect, SessionHeadRow)

    @cached_property
    def counts(self) -> str:
        """See `LiveStatements.counts`."""
        return self.connected(SQL("(SELECT unnest(string_to_array(%s, ',')::uuid[]))"))

    @staticmethod
    def ids(session_ids: Sequence[str]) -> str:
        """Session ids as a text."""
        return ",".join(session_ids)


class PostgresqlLiveWrites:
    """See `shared.live.writes.LiveWrites`."""

    def __init__(self, statements: PostgresqlLiveStatements) -> None:
        self._sql = statements

    def connect(self, connection: Connection, token: str) -> Change[None]:
        """Add a connection; see `LiveWrites.connect`.

        Two first connections of one user at once violate the unique index: the second is tried again.
        """
        values = connection._asdict() | {"token": token}

        def run(database: Database, repeat: bool) -> Deferred[None]:
            cursor = database.execute(_CONNECT, values | {"until": _until()})

            def read() -> None:
                if cursor.fetchall() or database.execute(_KNOWN, (connection.connection_id,)).fetchall():
                    return
                for (status,) in database.execute(_STATUS, (connection.session_id,)).fetchall():
                    if status == ENDED:
                        raise SessionEndedError
                    raise lost_race(perhaps_written=True)  # the session was created between the two statements
                raise SessionNotFoundError

            return Deferred(read)

        return Change(run, atomic=True, order=connection.session_id)

    def remove(self, session_id: str, connection_ids: Sequence[str]) -> Change[None]:
        """Remove connections of a session."""
        return self._silent(_REMOVE, {"session_id": session_id, "gone": " ".join(connection_ids)}, session_id)

    def take(self, session_id: str, handed: str, token: str) -> Change[bool]:
        """Take the lease of a delivery."""
        values: dict[str, object] = {"session_id": session_id, "handed": handed or None, "token": token}
        return self._found(_TAKE, values, session_id)

    def renew(self, lease: Lease) -> Change[bool]:
        """Renew the lease of a delivery."""
        return self._found(_RENEW, _of(lease), lease.session_id)

    def settle(self, lease: Lease, page: Delivered) -> Change[Progress]:
        """Record what was delivered; see `LiveWrites.settle`."""
        values = _of(lease) | {
            "delivered": page.delivered,
            "gone": " ".join(page.gone),
            "behind": " ".join(connection_id for connection_id, _position in page.behind),
            "positions": " ".join(str(position) for _connection_id, position in page.behind),
            "closed": str(page.closed).lower(),
        }

        def run(database: Database, repeat: bool) -> Deferred[Progress]:
            cursor = database.execute(_SETTLE, values | {"until": _until()})

            def read() -> Progress:
                for (more,) in cursor.fetchall():
                    return Progress.MORE if more else Progress.DONE
                return Progress.LOST

            return Deferred(read)

        return Change(run, atomic=True, order=lease.session_id)

    def give_back(self, lease: Lease) -> Change[None]:
        """Give the lease back."""
        return self._silent(_GIVE_BACK, _of(lease), lease.session_id)

    def take_replay(self, session_id: str, connection_id: str, handed: str, token: str) -> Change[Replaying | None]:
        """Take the lease of a replay."""
        values = {"session_id": session_id, "connection_id": connection_id, "handed": handed or None, "token": token}

        def run(database: Database, repeat: bool) -> Deferred[Replaying | None]:
            cursor = database.execute(_TAKE_REPLAY, values | {"now": clock.now(), "until": _until()})

            def read() -> Replaying | None:
                for *connection, state, position, sequence in cursor.fetchall():
                    return Replaying(Connection(*connection), state, position, sequence)
                return None

            return Deferred(read)

        return Change(run, atomic=True, order=_after(session_id))

    def advance(self, session_id: str, connection_id: str, token: str, position: int) -> Change[bool]:
        """Record how far a replay is."""
        values: dict[str, object] = {"connection_id": connection_id, "token": token, "position": position}
        return self._found(_ADVANCE, values, _after(session_id))

    def go_live(self, session_id: str, connection_id: str, token: str, position: int) -> Change[tuple[Progress, int]]:
        """Make a connection live; see `LiveWrites.go_live`."""
        values = {"session_id": session_id, "connection_id": connection_id, "token": token, "position": position}

        def run(database: Database, repeat: bool) -> Deferred[tuple[Progress, int]]:
            cursor = database.execute(_GO_LIVE, values | {"until": _until()})

            def read() -> tuple[Progress, int]:
                for state, status, sequence in cursor.fetchall():
                    return progress(state, status, sequence, position), sequence
                return Progress.LOST, position

            return Deferred(read)

        return Change(run, atomic=True, order=session_id)

    @staticmethod
    def _found(statement: str, values: dict[str, object], order: str) -> Change[bool]:
        """A write that is True when it has changed a row."""

        def run(database: Database, repeat: bool) -> Deferred[bool]:
            cursor = database.execute(statement, values | {"now": clock.now(), "until": _until()})
            return Deferred(lambda: bool(cursor.fetchall()))

        return Change(run, atomic=True, order=order)

    @staticmethod
    def _silent(statement: str, values: dict[str, object], order: str) -> Change[None]:
        def run(database: Database, repeat: bool) -> None:
            database.execute(statement, values)

        return Change(run, atomic=True, order=order)


def progress(state: str, status: str, sequence: int, position: int) -> Progress:
    """What is left for a connection in this state, in a session with this status and last message."""
    if state == "live":
        return Progress.DONE
    if sequence > position:
        return Progress.MORE
    return Progress.ENDED if status == ENDED else Progress.MORE


def _of(lease: Lease) -> dict[str, object]:
    return {"session_id": lease.session_id, "token": lease.token}


def _until() -> str:
    return clock.ago(-LEASE)


def _after(session_id: str) -> str:
    """The order of a write that locks a connection alone: in a batch it comes after those that lock its session."""
    return f"{session_id}~"
