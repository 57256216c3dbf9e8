"""Writes for many writers at once: each is one statement, which is its own transaction when it is alone.

So a write is one round trip, and no lock outlives it: a container that is frozen or cut off between two statements
would keep a classroom waiting. What a session's writers have to agree on is one narrow row, the session's head; whoever
changes it holds it until the commit, so sequences are given in the order of commits. An `Idempotency-Key` makes it a
transaction of three round trips: look for the key, write, keep the answer.

A write that may have been made before (`repeat`) locks the head first and looks then: the lock waits for an attempt
that is still under way, and the commit that follows waits for what a standby has yet to confirm.
"""

import random
from collections.abc import Callable
from functools import cached_property

from peewee import SQL, Query, fn

from shared import clock
from shared.engines import Connection
from shared.engines.postgresql.errors import lost_race
from shared.entities import ACTIVE, ENDED, IdempotencyKey, Message, MessageDraft, Session
from shared.errors import SessionAlreadyEndedError, SessionEndedError, SessionNotFoundError, SwitchboardError
from shared.identifiers import new_id
from shared.models import SessionCountSlotRow
from shared.rows import json_text, message_of, session_of
from shared.statements import Statements
from shared.writer import Later
from shared.writes import Change

_SLOTS = 64  # rows that count sessions, so that processes seldom meet in one
_DROP_ONE_TIME_IN = 64  # keyed writes; not in each, or all would meet at the oldest answers
_DROP_AT_ONCE = 640  # expired answers

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

_END = """
WITH head AS (
  UPDATE session_heads SET status = 'ended' WHERE session_id = %(id)s AND status = 'active' RETURNING session_id
), ended AS (
  UPDATE sessions SET status = 'ended', end_time = greatest(%(now)s::timestamptz, start_time)
  FROM head WHERE sessions.id = head.session_id
  RETURNING id, name, created_by, student_ids, start_time, end_time, status
), counted AS (
  INSERT INTO session_counts (slot, active, ended) SELECT %(slot)s::integer, -1, 1 FROM ended
  ON CONFLICT (slot) DO UPDATE SET active = session_counts.active - 1, ended = session_counts.ended + 1
)
SELECT * FROM ended
"""

_APPEND = """
WITH head AS (
  UPDATE session_heads SET sequence = sequence + 1, timestamp = greatest(timestamp, %(now)s::timestamptz)
  WHERE session_id = %(session_id)s AND status = 'active'
  RETURNING sequence, timestamp
)
INSERT INTO messages (session_id, sequence, id, type, context, from_user, to_user, timestamp, content)
SELECT %(session_id)s::uuid, sequence, %(id)s::uuid, %(type)s, %(context)s, %(from_user)s, %(to_user)s, timestamp,
  %(content)s
FROM head
RETURNING timestamp
"""

_LOCK = "SELECT status FROM session_heads WHERE session_id = %s FOR UPDATE"
_MESSAGE = "SELECT timestamp FROM messages WHERE session_id = %s AND id = %s"

_FORGET = "DELETE FROM idempotency_keys WHERE scope = %s AND key = %s AND created_at < %s"
_KEEP = "INSERT INTO idempotency_keys (scope, key, fingerprint, answer, created_at) VALUES (%s, %s, %s, %s, %s)"

_DROP = """
DELETE FROM idempotency_keys WHERE (scope, key) IN (
  SELECT scope, key FROM idempotency_keys WHERE created_at < %s ORDER BY created_at LIMIT %s
)
"""

_TOUCH = """
INSERT INTO session_counts (slot, active, ended) VALUES (%s, 0, 0)
ON CONFLICT (slot) DO UPDATE SET active = session_counts.active
"""


class PostgresqlStatements(Statements):
    """The reads, for PostgreSQL."""

    def total(self, status: str | None) -> Query:
        """How many sessions there are, of a status or in all."""
        counts = [getattr(SessionCountSlotRow, name) for name in (ACTIVE, ENDED) if status is None or status == name]
        return SessionCountSlotRow.select(fn.coalesce(fn.sum(sum(counts[1:], counts[0])), SQL("0")).cast("bigint"))

    @cached_property
    def kept_answer(self) -> str:
        """As it is, and locked: so the commit behind it waits for what a standby has yet to confirm."""
        return f"{super().kept_answer} FOR KEY SHARE"


class PostgresqlWrites:
    """See `shared.writes.Writes`."""

    def __init__(self, statements: PostgresqlStatements) -> None:
        self._sql = statements
        self._slot = random.randrange(_SLOTS)  # noqa: S311

    def create(self, session: Session) -> Change[Session]:
        """Store a new session; its id is new, so it meets nobody."""
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

    def end(self, session_id: str) -> Change[Session]:
        """End an active session: of two at once, the second finds the head ended when it gets it."""
        tried: list[str] = []  # the times of attempts, by which an end that stands is known for one of ours

        def run(connection: Connection, repeat: bool) -> Session | Later[Session]:
            if repeat and connection.execute(_LOCK, (session_id,)).fetchall() == [(ENDED,)]:
                session = self._session(connection, session_id)
                if session.end_time in [max(time, session.start_time) for time in tried]:
                    return session
                raise SessionAlreadyEndedError(session.end_time)
            tried.append(clock.now())
            cursor = connection.execute(_END, {"id": session_id, "now": tried[-1], "slot": self._slot})

            def read() -> Session:
                for row in cursor.fetchall():
                    return session_of(row)
                session = self._session(connection, session_id)
                if session.status == ACTIVE:
                    raise lost_race(perhaps_written=True)  # its head was not there yet
                raise SessionAlreadyEndedError(session.end_time)

            return Later(read)

        return Change(run, atomic=True, order=session_id)

    def append(self, draft: MessageDraft, admit: Callable[[], None]) -> Change[Message]:
        """Append a message to an active session."""
        message_id = new_id()
        values = {
            "id": message_id,
            "session_id": draft.session_id,
            "type": draft.type,
            "context": draft.context,
            "from_user": draft.from_user,
            "to_user": draft.to_user,
            "content": bytes(draft.content).decode(),
        }

        def run(connection: Connection, repeat: bool) -> Message | Later[Message]:
            if repeat:
                connection.execute(_LOCK, (draft.session_id,)).fetchall()
                for (timestamp,) in connection.execute(_MESSAGE, (draft.session_id, message_id)).fetchall():
                    return message_of(message_id, draft, timestamp)
            try:
                admit()
            except SwitchboardError:
                self._refuse_unless_active(connection, draft.session_id)
                raise
            cursor = connection.execute(_APPEND, values | {"now": clock.now()})

            def read() -> Message:
                for (timestamp,) in cursor.fetchall():
                    return message_of(message_id, draft, timestamp)
                self._refuse_unless_active(connection, draft.session_id)
                raise lost_race(perhaps_written=True)  # it was created in between

            return Later(read)

        return Change(run, atomic=True, order=draft.session_id)

    def keep(self, connection: Connection, key: IdempotencyKey, answer: str, oldest: str) -> None:
        """Keep a call's answer. Somebody else's that came first sinks this transaction; the next attempt finds it."""
        connection.execute(_FORGET, (key.scope, key.key, oldest))
        connection.execute(_KEEP, (key.scope, key.key, key.fingerprint, answer, clock.now()))
        if random.randrange(_DROP_ONE_TIME_IN) == 0:  # noqa: S311
            connection.execute(_DROP, (oldest, _DROP_AT_ONCE))

    def touch(self) -> Change[None]:
        """Write, and change nothing."""

        def run(connection: Connection, repeat: bool) -> None:
            connection.execute(_TOUCH, (self._slot,))

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
