"""DatabaseManager: the reads and the writes, and those rules that must hold inside a transaction.

Writes go through the single writer. Each is one function `(connection, repeat)` that checks and writes in one
transaction; `repeat` says that an attempt before may stand, and the function then looks for it first.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import msgspec

from shared import clock, schema
from shared.config import Settings
from shared.engines import Connection, Engine, Row, open_engine
from shared.entities import ACTIVE, ENDED, HistoryPage, IdempotencyKey, Message, MessageDraft, Session, SessionFilter
from shared.errors import (
    DatabaseSchemaError,
    IdempotencyKeyReusedError,
    SessionAlreadyEndedError,
    SessionEndedError,
    SessionNotFoundError,
)
from shared.identifiers import new_id
from shared.paging import PAGE_BYTES, row_bytes
from shared.statements import Statements
from shared.writer import Write, Writer

KEEP_ANSWERS = timedelta(hours=24)
_HEALTH_PATIENCE = 2.0  # seconds that a health check waits to be the writer
_DROP_AT_ONCE = 10  # expired answers that one write removes

T = TypeVar("T", Session, Message)


class DatabaseManager:
    """Sessions and messages in one database. Every method may raise the `DatabaseError` family."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        """Use `open_database` for a database from settings, its schema brought up to date."""
        self._engine = engine
        self._writer = writer
        self._sql = Statements(engine.dialect)

    # --- sessions

    def create_session(self, session: Session, key: IdempotencyKey | None = None) -> Session:
        """Store a new session; with a key that was used before for the same, return what was stored then."""
        students = _json(session.student_ids)

        def write(connection: Connection, repeat: bool) -> Session:
            if repeat and connection.execute(self._sql.session_status, (session.id,)).fetchall():
                return session
            connection.execute(
                self._sql.insert_session,
                (session.id, session.name, session.created_by, session.start_time, students),
            )
            connection.execute(self._sql.insert_enrollments, (session.start_time, session.id, students))
            connection.execute(self._sql.count_created)
            return session

        return self._writer.write(self._once(key, Session, write))

    def get_session(self, session_id: str) -> Session:
        """A session, active or ended. Raises `SessionNotFoundError`."""
        rows = self._engine.fetch(self._sql.session, (session_id,))
        if not rows:
            raise SessionNotFoundError
        return _session(rows[0])

    def get_status(self, session_id: str) -> str | None:
        """A session's status at this moment; None when there is no such session."""
        rows = self._engine.fetch(self._sql.session_status, (session_id,))
        return rows[0][0] if rows else None

    def update_session(self, session_id: str) -> Session:
        """End a session, the only update that a session knows: of any number of calls at once, one does it.

        The end time is given here, under the writer's lock, and is never before the start.
        Raises `SessionNotFoundError`, `SessionAlreadyEndedError`.
        """
        stood: str | None = None  # the end time given by an attempt before

        def write(connection: Connection, repeat: bool) -> Session:
            nonlocal stood
            rows = connection.execute(self._sql.session, (session_id,)).fetchall()
            if not rows:
                raise SessionNotFoundError
            session = _session(rows[0])
            if session.status == ENDED:
                if repeat and session.end_time == stood:
                    return session
                raise SessionAlreadyEndedError(session.end_time)
            stood = max(clock.now(), session.start_time)
            connection.execute(self._sql.end_session, (stood, session_id))
            connection.execute(self._sql.count_ended)
            return msgspec.structs.replace(session, end_time=stood, status=ENDED)

        return self._writer.write(write)

    def list_active_sessions(self, limit: int | None = None) -> list[Session]:
        """The active sessions, newest first."""
        statement = self._sql.list_page(status=ACTIVE, creator=False, student=False, after=False)
        return [_session(row) for row in self._engine.fetch(statement, (-1 if limit is None else limit,))]

    def list_sessions(
        self, wanted: SessionFilter, after: tuple[str, str] | None, limit: int
    ) -> tuple[list[Session], int]:
        """Up to `limit` sessions from behind `after` (start time and id), newest first, and how many match in all."""
        creator, student = wanted.created_by is not None, wanted.student_id is not None
        who = [value for value in (wanted.student_id, wanted.created_by) if value is not None]
        seen = (after[0], *after) if after else ()
        page = self._sql.list_page(status=wanted.status, creator=creator, student=student, after=after is not None)
        total = self._sql.list_total(status=wanted.status, creator=creator, student=student)
        with self._engine.snapshot() as connection:
            rows = connection.execute(page, (*who, *seen, limit)).fetchall()
            count = connection.execute(total, who).fetchall()[0][0]
        return [_session(row) for row in rows], count

    def count_active_sessions(self) -> int:
        """How many sessions are active."""
        statement = self._sql.list_total(status=ACTIVE, creator=False, student=False)
        return int(self._engine.fetch(statement)[0][0])

    # --- messages

    def store_message(
        self, draft: MessageDraft, admit: Callable[[], None] = lambda: None, key: IdempotencyKey | None = None
    ) -> Message:
        """Append a message to an active session; its id, order and time are given here, under the writer's lock.

        `admit` is called once the session is known to be active, and raises when the sender may not send this.
        A message is never earlier than the one before it. Raises `SessionNotFoundError`, `SessionEndedError`.
        """
        message_id = new_id()
        stood: tuple[int, str] | None = None  # sequence and time given by an attempt before

        def write(connection: Connection, repeat: bool) -> Message:
            nonlocal stood
            if repeat and stood:
                rows = connection.execute(self._sql.message_id, (draft.session_id, stood[0])).fetchall()
                if rows == [(message_id,)]:
                    return _message(message_id, draft, stood[1])
            rows = connection.execute(self._sql.session_and_last_message, (draft.session_id,)).fetchall()
            if not rows:
                raise SessionNotFoundError
            status, sequence, timestamp = rows[0]
            if status != ACTIVE:
                raise SessionEndedError
            admit()
            stood = ((sequence or 0) + 1, max(clock.now(), timestamp or ""))
            message = _message(message_id, draft, stood[1])
            connection.execute(self._sql.insert_message, _message_row(message, stood[0]))
            return message

        return self._writer.write(self._once(key, Message, write), atomic=key is None)

    def get_session_history(
        self, session_id: str, student_id: str | None = None, after: int = 0, limit: int = 1000
    ) -> HistoryPage:
        """Messages in order from behind sequence `after`: up to `limit`, and no more than fit a response.

        With a student, only what that student sent, was sent, and broadcasts. The session is not looked up.
        """
        statement = self._sql.history if student_id is None else self._sql.history_of_student
        reader = () if student_id is None else (student_id, student_id)
        messages: list[Message] = []
        room, last = PAGE_BYTES, after
        with self._engine.walk(statement, (session_id, after, *reader, limit + 1)) as rows:
            for sequence, message_id, _, kind, context, from_user, to_user, content, timestamp in rows:
                room -= row_bytes(content)
                if len(messages) == limit or (messages and room < 0):
                    return HistoryPage(messages, last, True)
                raw = msgspec.Raw(content)
                messages.append(Message(message_id, session_id, kind, context, from_user, to_user, raw, timestamp))
                last = sequence
        return HistoryPage(messages, last, False)

    # --- the database itself

    def health_check(self) -> None:
        """Raise what is wrong with the database: it cannot be read or written, or its tables are not the models'."""
        if self.count_active_sessions() < 0:
            raise DatabaseSchemaError
        if difference := schema.difference(self._engine):
            raise DatabaseSchemaError("schema mismatch: " + difference.replace("\n", ", "))

        def touch(connection: Connection, repeat: bool) -> None:
            for step in (1, -1):  # a row that is set to what it was is not written at all
                connection.execute(self._sql.shift_count, (step,))

        self._writer.write(touch, timeout=_HEALTH_PATIENCE)

    def writer_stats(self) -> dict[str, int]:
        """See `Writer.stats`."""
        return self._writer.stats()

    def close(self) -> None:
        """Let queued writes be committed and answered, then close; closing twice is fine."""
        self._writer.close()
        self._engine.close()

    # --- idempotency

    def _once(self, key: IdempotencyKey | None, kind: type[T], write: Write[T]) -> Write[T]:
        """The write, made at most once for its key: the answer is kept in the same transaction."""
        if key is None:
            return write

        def write_once(connection: Connection, repeat: bool) -> T:
            oldest = clock.ago(KEEP_ANSWERS)
            kept = connection.execute(self._sql.kept_answer, (key.scope, key.key, oldest)).fetchall()
            if kept:
                fingerprint, answer = kept[0]
                if fingerprint != key.fingerprint:
                    raise IdempotencyKeyReusedError
                return msgspec.json.decode(answer, type=kind)
            result = write(connection, repeat)
            row = (key.scope, key.key, key.fingerprint, _json(result), clock.now())
            connection.execute(self._sql.keep_answer, row)
            connection.execute(self._sql.drop_expired_answers, (oldest, _DROP_AT_ONCE))
            return result

        return write_once


def open_database(settings: Settings) -> DatabaseManager:
    """The database that the settings name, its schema up to date. Raises `ConfigurationError`, `DatabaseError`."""
    engine = open_engine(settings)
    try:
        schema.ensure(engine)
    except BaseException:
        engine.close()
        raise
    writer = Writer(
        engine,
        queue_size=settings.queue_size,
        busy_timeout=settings.busy_timeout_ms / 1000,
        retry_delay=settings.retry_delay_seconds,
        write_timeout=settings.write_timeout_seconds,
    )
    return DatabaseManager(engine, writer)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


_students = msgspec.json.Decoder(tuple[str, ...])


def _session(row: Row) -> Session:
    session_id, name, created_by, student_ids, start_time, end_time, status = row
    return Session(session_id, name, created_by, _students.decode(student_ids), start_time, end_time, status)


def _message(message_id: str, draft: MessageDraft, timestamp: str) -> Message:
    return Message(
        message_id,
        draft.session_id,
        draft.type,
        draft.context,
        draft.from_user,
        draft.to_user,
        draft.content,
        timestamp,
    )


def _message_row(message: Message, sequence: int) -> Row:
    return (
        message.session_id,
        sequence,
        message.id,
        message.type,
        message.context,
        message.from_user,
        message.to_user,
        message.timestamp,
        bytes(message.content).decode(),
    )
