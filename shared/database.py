"""DatabaseManager: every read and write of sessions and messages.

Writes go through the single writer (`shared.writer`). What a write does inside its transaction is in `shared.writes`.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import msgspec

from shared import clock
from shared.config import Settings
from shared.engines import Connection, Engine, Row, engine_class, kind_of, open_engine
from shared.entities import (
    ACTIVE,
    FoundSessions,
    HistoryPage,
    IdempotencyKey,
    Lease,
    Message,
    MessageDraft,
    Session,
    SessionFilter,
)
from shared.errors import DatabaseSchemaError, IdempotencyKeyReusedError, SessionNotFoundError
from shared.migrations import schema
from shared.paging import PAGE_BYTES, fitting, row_bytes
from shared.rows import json_text, session_of
from shared.writer import Write, Writer, settled
from shared.writes import Change, classes_for, writes_of

KEEP_ANSWERS = timedelta(hours=24)
_PROBE_TIMEOUT = 2.0  # seconds that a health check waits for its write

T = TypeVar("T", Session, Message)
P = TypeVar("P")


class DatabaseManager:
    """Sessions and messages in one database. Every method may raise the `DatabaseError` family."""

    def __init__(self, engine: Engine, writer: Writer, message_limit: int = 0) -> None:
        """`open_database` makes one from settings, with the schema up to date."""
        self._engine = engine
        self._writer = writer
        self._sql, self._writes = writes_of(engine, message_limit)
        self._checked: str | None = None  # the version of the schema that was compared with the models

    # --- sessions

    def create_session(self, session: Session, key: IdempotencyKey | None = None) -> Session:
        """Store a new session. With a key that was used before for the same request, return that stored session."""
        return self._write(self._writes.create(session), Session, key)

    def get_session(self, session_id: str) -> Session:
        """A session, active or ended. Raises `SessionNotFoundError`."""
        rows = self._engine.fetch(self._sql.session, (session_id,))
        if not rows:
            raise SessionNotFoundError
        return session_of(rows[0])

    def get_status(self, session_id: str) -> str | None:
        """The session's current status; None when there is no such session."""
        rows = self._engine.fetch(self._sql.session_status, (session_id,))
        return rows[0][0] if rows else None

    def update_session(self, session_id: str, lease: Lease | None = None) -> Session:
        """End a session, which is its only update. Of any number of concurrent calls exactly one succeeds.

        `lease` is given as by `store_message`. Raises `SessionNotFoundError`, `SessionAlreadyEndedError`.
        """
        return self._write(self._writes.end(session_id, lease), Session)

    def list_active_sessions(self, limit: int | None = None) -> list[Session]:
        """The active sessions, newest first; with a limit up to so many, and no more than fit a response."""
        if limit is None:
            return [session_of(row) for row in self._engine.fetch(self._sql.active_sessions)]
        statement = self._sql.list_page(status=ACTIVE, creator=False, student=False, after=False)
        rows, _more = self._engine.walk(statement, (limit,), lambda rows: fitting(rows, _session_bytes, limit))
        return [session_of(row) for row in rows]

    def list_sessions(self, wanted: SessionFilter, after: tuple[str, str] | None, limit: int) -> FoundSessions:
        """Sessions after `after` (start time, id), newest first: up to `limit`, and no more than fit a response."""
        creator, student = wanted.created_by is not None, wanted.student_id is not None
        who = [value for value in (wanted.student_id, wanted.created_by) if value is not None]
        seen = (after[0], *after) if after else ()
        page = self._sql.list_page(status=wanted.status, creator=creator, student=student, after=after is not None)
        total = self._sql.list_total(status=wanted.status, creator=creator, student=student)

        def read(connection: Connection) -> tuple[list[Row], bool, list[Row]]:
            rows, counted = connection.execute(page, (*who, *seen, limit + 1)), connection.execute(total, who)
            count = counted.fetchall()  # the last statement first: in a pipeline both answers then take one round trip
            return *fitting(rows, _session_bytes, limit), count

        rows, more, count = self._engine.snapshot(read)
        return FoundSessions([session_of(row) for row in rows], more, _number(count))

    def count_active_sessions(self) -> int:
        """How many sessions are active."""
        return _number(self._engine.fetch(self._sql.list_total(status=ACTIVE, creator=False, student=False)))

    # --- messages

    def store_message(
        self,
        draft: MessageDraft,
        authorize: Callable[[], None] = lambda: None,
        key: IdempotencyKey | None = None,
        lease: Lease | None = None,
    ) -> Message:
        """Append a message to an active session; its id, sequence and time are set here, in the order of the commits.

        A message's time is never before that of the previous message. `authorize` raises when the sender may not send
        this message. A caller that will deliver passes a `lease`: with the message it gets the lease, when the session
        has connections and nobody delivers. Raises `SessionNotFoundError` and `SessionEndedError`, which come before
        any error of `authorize`.
        """
        return self._write(self._writes.append(draft, authorize, lease), Message, key)

    def get_session_history(
        self, session_id: str, student_id: str | None = None, after: int = 0, limit: int = 1000
    ) -> HistoryPage:
        """Messages in order, after the sequence `after`: up to `limit`, and no more than fit into one response.

        With a student: only messages from this student, to this student, and broadcasts. It does not check that the
        session exists.
        """
        statement = self._sql.history if student_id is None else self._sql.history_of_student
        reader = () if student_id is None else (student_id, student_id)

        def read(rows: Iterator[Row]) -> HistoryPage:
            messages: list[Message] = []
            room, last = PAGE_BYTES, after
            for sequence, message_id, kind, context, from_user, to_user, content, timestamp in rows:
                room -= row_bytes(content)
                if len(messages) == limit or (messages and room < 0):
                    return HistoryPage(messages, last, True)
                raw = msgspec.Raw(content)
                messages.append(Message(message_id, session_id, kind, context, from_user, to_user, raw, timestamp))
                last = sequence
            return HistoryPage(messages, last, False)

        return self._engine.walk(statement, (session_id, after, *reader, limit + 1), read)

    # --- the database itself

    def health_check(self) -> None:
        """Raise a `DatabaseError` when the tables differ from the models or the database cannot be written.

        On PostgreSQL the tables are compared only when they have changed since they matched: a comparison takes some
        twenty round trips.
        """
        version = self._engine.schema_version()
        if version is None or version != self._checked:
            if difference := schema.difference(self._engine):
                raise DatabaseSchemaError("schema mismatch: " + difference.replace("\n", ", "))
            self._checked = version
        probe = self._writes.probe()
        self._writer.write(probe.run, atomic=probe.atomic, timeout=_PROBE_TIMEOUT)

    def part(self, kind: Callable[[Engine, Writer], P]) -> P:
        """Another manager, on the same engine and the same single writer."""
        return kind(self._engine, self._writer)

    def writer_stats(self) -> dict[str, int]:
        """See `Writer.stats`."""
        return self._writer.stats()

    def close(self) -> None:
        """Wait until the queued writes are done, then close. Closing twice is allowed."""
        self._writer.close()
        self._engine.close()

    # --- writes

    def _write(self, change: Change[T], kind: type[T], key: IdempotencyKey | None = None) -> T:
        if key is None:
            return self._writer.write(change.run, atomic=change.atomic, order=change.order)
        return self._writer.write(self._once(change.run, kind, key), order=change.order)

    def _once(self, write: Write[T], kind: type[T], key: IdempotencyKey) -> Write[T]:
        """The write, at most once for its key: the same transaction stores its answer under the key."""

        def write_once(connection: Connection, repeat: bool) -> T:
            oldest = clock.ago(KEEP_ANSWERS)
            kept = connection.execute(self._sql.kept_answer, (key.scope, key.key, oldest)).fetchall()
            key.replayed = bool(kept)
            if kept:
                fingerprint, answer = kept[0]
                if fingerprint != key.fingerprint:
                    raise IdempotencyKeyReusedError
                return msgspec.json.decode(answer, type=kind)
            result = settled(write(connection, repeat))
            self._writes.keep_answer(connection, key, json_text(result), oldest)
            return result

        return write_once


def import_for(database_url: str) -> None:
    """Import what the database of this URL needs: its engine, driver and writes. Raises `ConfigurationError`."""
    kind = kind_of(database_url)
    engine_class(kind)
    classes_for(kind)


def open_database(settings: Settings) -> DatabaseManager:
    """Open the database of the settings and apply pending migrations. Raises `ConfigurationError`, `DatabaseError`."""
    engine = open_engine(settings)
    try:
        schema.ensure(engine)
    except BaseException:
        engine.close()
        raise
    return DatabaseManager(engine, writer_of(engine, settings), settings.message_limit)


def writer_of(engine: Engine, settings: Settings) -> Writer:
    """The single writer of a process, for its engine."""
    return Writer(
        engine,
        queue_size=settings.queue_size,
        busy_timeout=settings.busy_timeout_ms / 1000,
        retry_delay=settings.retry_delay_seconds,
        write_timeout=settings.write_timeout_seconds,
    )


def _number(rows: list[Row]) -> int:
    """The count in the only row. Raises `DatabaseSchemaError` when it is NULL: the rows with the counts are missing."""
    ((count,),) = rows
    if count is None:
        raise DatabaseSchemaError
    return int(count)


def _session_bytes(row: Row) -> int:
    """How many bytes a row of `SESSION_COLUMNS` takes in a response, at most: there each quote is escaped."""
    name: str = row[1]
    student_ids: str = row[3]
    return row_bytes(name) + len(student_ids) + student_ids.count('"')
