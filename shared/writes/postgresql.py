"""The writes on PostgreSQL, where many processes write at once. Each write is one statement.

A write that is the only one of its batch is also its own transaction. So it takes one round trip, and the server holds
no lock between two statements: an execution environment that is frozen or cut off at that moment would make a whole
classroom wait. The writers of a session share one small row, the session head. A write changes the head first and so
locks it until its commit; therefore sequences follow the order of the commits. With an `Idempotency-Key` a write is a
transaction of three round trips: look for the key, write, keep the answer.

A repeated write (`repeat`: an earlier attempt may have been committed) first locks the head, then looks for what the
earlier attempt wrote. The lock waits for an attempt that is still running. The commit after the lock waits until
a synchronous standby has confirmed what was found.
"""

import random
from collections.abc import Callable
from functools import cache, cached_property
from typing import NamedTuple

from peewee import SQL, Query, fn

from shared import clock
from shared.engines import Connection
from shared.engines.postgresql.errors import lost_race
from shared.entities import ACTIVE, ENDED, IdempotencyKey, Lease, Message, MessageDraft, Session
from shared.errors import (
    RateLimitedError,
    SessionAlreadyEndedError,
    SessionEndedError,
    SessionNotFoundError,
    SwitchboardError,
)
from shared.identifiers import new_id
from shared.models import SessionCountSlotRow
from shared.paging import PAGE_BYTES
from shared.rows import json_text, message_of, session_of
from shared.statements import Statements
from shared.writer import Deferred
from shared.writes import LEASE, Change, rate_windows, seconds_left

SLOTS = 64  # rows that count sessions: with several, two processes seldom wait for the same one
_DELETE_ONE_TIME_IN = 64  # writes with a key: if each one deleted, they would all wait for the same rows
_DELETED_AT_ONCE = 640  # expired answers that one write deletes

_CREATE = """
WITH session AS (
  INSERT INTO sessions (id, name, created_by, start_time, status, student_ids)
  VALUES (%(id)s, %(name)s, %(created_by)s, %(start_time)s, 'active', %(students)s)
), head AS (
  INSERT INTO session_heads (session_id, status, sequence, timestamp) VALUES (%(id)s, 'active', 0, %(start_time)s)
), enrolled AS (
  INSERT INTO enrollments (student_id, start_time, session_id)
  SELECT unnest(string_to_array(%(student_ids)s, ',')), %(start_time)s::timestamptz, %(id)s::uuid
)
INSERT INTO session_counts (slot, active, ended) VALUES (%(slot)s, 1, 0)
ON CONFLICT (slot) DO UPDATE SET active = session_counts.active + 1
"""

_FREE = "connected > 0 AND (delivering_until IS NULL OR delivering_until < %(now)s::timestamptz)"


class _Lease(NamedTuple):
    """The parts of a statement that also takes the lease of a delivery; `%(id)s` is its token."""

    changes: str = ""
    is_taken: str = "false"


_NO_LEASE = _Lease()
_LEASE = _Lease(
    f""", delivery_token = CASE WHEN {_FREE} THEN %(id)s::uuid ELSE delivery_token END,
    delivering_until = CASE WHEN {_FREE} THEN
      %(now)s::timestamptz + interval '{LEASE.total_seconds()} s' ELSE delivering_until END""",
    "delivery_token IS NOT DISTINCT FROM %(id)s::uuid",
)

_END = """
WITH head AS (
  UPDATE session_heads SET status = 'ended'{lease.changes} WHERE session_id = %(id)s AND status = 'active'
  RETURNING session_id, timestamp, {lease.is_taken} AS leased
), ended AS (
  UPDATE sessions SET status = 'ended', end_time = greatest(%(now)s::timestamptz, head.timestamp)
  FROM head WHERE sessions.id = head.session_id
  RETURNING id, name, created_by, student_ids, start_time, end_time, status
), counted AS (
  INSERT INTO session_counts (slot, active, ended) SELECT %(slot)s::integer, -1, 1 FROM ended
  ON CONFLICT (slot) DO UPDATE SET active = session_counts.active - 1, ended = session_counts.ended + 1
)
SELECT ended.*, leased FROM ended, head
"""

_INSERT_MESSAGE = """
INSERT INTO messages (session_id, sequence, id, type, context, from_user, to_user, timestamp, content)
SELECT %(session_id)s::uuid, sequence, %(id)s::uuid, %(type)s, %(context)s, %(from_user)s, %(to_user)s, timestamp,
  %(content)s
FROM head
RETURNING timestamp, (SELECT leased FROM head)
"""

_NEXT = "sequence = sequence + 1, timestamp = greatest(timestamp, %(now)s::timestamptz)"

_APPEND = f"""
WITH head AS (
  UPDATE session_heads SET {_NEXT}{{lease.changes}}
  WHERE session_id = %(session_id)s AND status = 'active'
  RETURNING sequence, timestamp, {{lease.is_taken}} AS leased
)
{_INSERT_MESSAGE}"""

_IN_WINDOW = "rate.window_start > %(oldest)s AND rate.window_start < %(newest)s"

# The head is locked first, so a message that is one too many leaves no gap in the sequence.
_COUNT_AND_APPEND = f"""
WITH locked AS (
  SELECT session_id FROM session_heads WHERE session_id = %(session_id)s AND status = 'active' FOR UPDATE
), counted AS (
  INSERT INTO message_rates AS rate (user_id, window_start, sent)
  SELECT %(from_user)s, %(now)s::timestamptz, 1 FROM locked
  ON CONFLICT (user_id) DO UPDATE SET
    sent = CASE WHEN {_IN_WINDOW} THEN rate.sent + 1 ELSE 1 END,
    window_start = CASE WHEN {_IN_WINDOW} THEN rate.window_start ELSE excluded.window_start END
  WHERE rate.sent < %(limit)s OR NOT ({_IN_WINDOW})
  RETURNING sent
), head AS (
  UPDATE session_heads SET {_NEXT}{{lease.changes}}
  FROM counted WHERE session_id = %(session_id)s AND status = 'active'
  RETURNING sequence, timestamp, {{lease.is_taken}} AS leased
)
{_INSERT_MESSAGE}"""

_LOCK = "SELECT status, timestamp, delivery_token FROM session_heads WHERE session_id = %s FOR UPDATE"
_MESSAGE = "SELECT timestamp FROM messages WHERE session_id = %s AND id = %s"

_FULL_PAGE = f"""
SELECT id, name, created_by, student_ids, start_time, end_time, status FROM (
  SELECT *, sum(octet_length(student_ids)) OVER (
    ORDER BY start_time DESC, id DESC ROWS UNBOUNDED PRECEDING
  ) - octet_length(student_ids) AS before FROM (%s) AS page
) AS measured WHERE before < {PAGE_BYTES} ORDER BY start_time DESC, id DESC
"""

_DELETE_ANSWER = "DELETE FROM idempotency_keys WHERE scope = %s AND key = %s AND created_at < %s"
_KEEP_ANSWER = "INSERT INTO idempotency_keys (scope, key, fingerprint, answer, created_at) VALUES (%s, %s, %s, %s, %s)"

_DELETE_EXPIRED = """
DELETE FROM idempotency_keys WHERE (scope, key) IN (
  SELECT scope, key FROM idempotency_keys WHERE created_at < %s ORDER BY created_at LIMIT %s
)
"""

_PROBE = """
INSERT INTO session_counts (slot, active, ended) VALUES (%s, 0, 0)
ON CONFLICT (slot) DO UPDATE SET active = session_counts.active
"""


class PostgresqlStatements(Statements):
    """The reads, for PostgreSQL."""

    def total(self, status: str | None) -> Query:
        """How many sessions there are, of a status or in all."""
        counts = [getattr(SessionCountSlotRow, name) for name in (ACTIVE, ENDED) if status is None or status == name]
        return SessionCountSlotRow.select(fn.coalesce(fn.sum(sum(counts[1:], counts[0])), SQL("0")).cast("bigint"))

    def list_page(self, *, status: str | None, creator: bool, student: bool, after: bool) -> str:
        """The same; the server sends no row that would begin beyond a full page.

        An answer arrives as a whole, so the caller cannot stop early. The lengths are read without the rosters.
        """
        return _FULL_PAGE % super().list_page(status=status, creator=creator, student=student, after=after)

    @cached_property
    def kept_answer(self) -> str:
        """The same, with a lock on the row: the commit then waits until a synchronous standby has confirmed the row."""
        return f"{super().kept_answer} FOR KEY SHARE"


class PostgresqlWrites:
    """See `shared.writes.Writes`."""

    def __init__(self, statements: PostgresqlStatements, message_limit: int = 0) -> None:
        self._sql = statements
        self._message_limit = message_limit
        self._slot = random.randrange(SLOTS)  # noqa: S311

    def create(self, session: Session) -> Change[Session]:
        """Store a new session. Its id is new, so it waits for no other write."""
        values = {
            "id": session.id,
            "name": session.name,
            "created_by": session.created_by,
            "start_time": session.start_time,
            "students": json_text(session.student_ids),
            "student_ids": ",".join(session.student_ids),  # no user id has a comma
            "slot": self._slot,
        }

        def run(connection: Connection, repeat: bool) -> Session:
            if repeat and connection.execute(_LOCK, (session.id,)).fetchall():
                return session
            connection.execute(_CREATE, values)
            return session

        return Change(run, atomic=True, order=session.id)

    def end(self, session_id: str, lease: Lease | None = None) -> Change[Session]:
        """End an active session. A concurrent call waits for the head and then finds it ended.

        The token of a lease is the session's id: it ends once, and no message has that id.
        """
        attempted: list[str] = []  # the time of each attempt, to recognize an end that one of them has written
        statement = _statement(_END, lease)

        def run(connection: Connection, repeat: bool) -> Session | Deferred[Session]:
            for status, last, token in connection.execute(_LOCK, (session_id,)).fetchall() if repeat else ():
                if status == ENDED:
                    session = self._session(connection, session_id)
                    if session.end_time in [max(time, last) for time in attempted]:
                        _give(lease, session_id, given=token == session_id)
                        return session
                    raise SessionAlreadyEndedError(session.end_time)
            attempted.append(clock.now())
            cursor = connection.execute(statement, {"id": session_id, "now": attempted[-1], "slot": self._slot})

            def read() -> Session:
                for *row, leased in cursor.fetchall():
                    _give(lease, session_id, given=leased)
                    return session_of(tuple(row))
                session = self._session(connection, session_id)
                if session.status == ACTIVE:
                    raise lost_race(perhaps_written=True)  # the session has no head yet: a copy is still running
                raise SessionAlreadyEndedError(session.end_time)

            return Deferred(read)

        return Change(run, atomic=True, order=session_id)

    def append(self, draft: MessageDraft, authorize: Callable[[], None], lease: Lease | None = None) -> Change[Message]:
        """Append a message to an active session. The token of a lease is the message's id."""
        message_id = new_id()
        statement = _statement(_COUNT_AND_APPEND if self._message_limit else _APPEND, lease)
        values: dict[str, object] = {
            "id": message_id,
            "session_id": draft.session_id,
            "type": draft.type,
            "context": draft.context,
            "from_user": draft.from_user,
            "to_user": draft.to_user,
            "content": bytes(draft.content).decode(),
        }

        def run(connection: Connection, repeat: bool) -> Message | Deferred[Message]:
            if repeat:
                heads = connection.execute(_LOCK, (draft.session_id,)).fetchall()
                for (timestamp,) in connection.execute(_MESSAGE, (draft.session_id, message_id)).fetchall():
                    _give(lease, message_id, given=heads[0][2] == message_id)
                    return message_of(message_id, draft, timestamp)
            try:
                authorize()
            except SwitchboardError:
                self._refuse_unless_active(connection, draft.session_id)
                raise
            cursor = connection.execute(statement, values | self._now())

            def read() -> Message:
                for timestamp, leased in cursor.fetchall():
                    _give(lease, message_id, given=leased)
                    return message_of(message_id, draft, timestamp)
                self._refuse_unless_active(connection, draft.session_id)
                self._refuse_beyond_limit(connection, draft.from_user)
                raise lost_race(perhaps_written=True)  # the session was created between the two statements

            return Deferred(read)

        return Change(run, atomic=True, order=draft.session_id)

    def _now(self) -> dict[str, object]:
        now: dict[str, object] = {"now": clock.now()}
        if not self._message_limit:
            return now
        oldest, newest = rate_windows()
        return now | {"oldest": oldest, "newest": newest, "limit": self._message_limit}

    def _refuse_beyond_limit(self, connection: Connection, user_id: str) -> None:
        """Raise `RateLimitedError` while a user's window lasts; called when a limit let no message pass."""
        if self._message_limit:
            for (start,) in connection.execute(self._sql.rate_window, (user_id,)).fetchall():
                oldest, newest = rate_windows()
                if oldest < start < newest:
                    raise RateLimitedError(self._message_limit, seconds_left(start))

    def keep_answer(self, connection: Connection, key: IdempotencyKey, answer: str, oldest: str) -> None:
        """Store a call's answer. If another call stored one first, this transaction fails and the retry finds it."""
        connection.execute(_DELETE_ANSWER, (key.scope, key.key, oldest))
        connection.execute(_KEEP_ANSWER, (key.scope, key.key, key.fingerprint, answer, clock.now()))
        if random.randrange(_DELETE_ONE_TIME_IN) == 0:  # noqa: S311
            connection.execute(_DELETE_EXPIRED, (oldest, _DELETED_AT_ONCE))

    def probe(self) -> Change[None]:
        """Write, and leave every row as it was."""

        def run(connection: Connection, repeat: bool) -> None:
            connection.execute(_PROBE, (self._slot,))

        return Change(run, atomic=True)

    def _session(self, connection: Connection, session_id: str) -> Session:
        rows = connection.execute(self._sql.session, (session_id,)).fetchall()
        if not rows:
            raise SessionNotFoundError
        return session_of(rows[0])

    def _refuse_unless_active(self, connection: Connection, session_id: str) -> None:
        rows = connection.execute(self._sql.session_status, (session_id,)).fetchall()
        if not rows:
            raise SessionNotFoundError
        if rows[0][0] != ACTIVE:
            raise SessionEndedError


@cache
def _text(statement: str, lease: _Lease) -> str:
    return statement.format(lease=lease)


def _statement(statement: str, lease: Lease | None) -> str:
    """The statement that also takes the lease for a caller that will deliver; another one does not touch it."""
    return _text(statement, _NO_LEASE if lease is None else _LEASE)


def _give(lease: Lease | None, token: str, *, given: bool) -> None:
    if lease is not None:
        lease.token = token if given else ""
