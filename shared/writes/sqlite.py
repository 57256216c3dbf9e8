"""The writes on SQLite. There is one writer at a time, so what a write has read cannot change before it commits."""

from collections.abc import Callable
from functools import cached_property

from peewee import JOIN, SQL, Query, fn

from shared import clock
from shared.engines import Connection
from shared.entities import ACTIVE, ENDED, IdempotencyKey, Lease, Message, MessageDraft, Session
from shared.errors import RateLimitedError, SessionAlreadyEndedError, SessionEndedError, SessionNotFoundError
from shared.identifiers import new_id
from shared.models import (
    EnrollmentRow,
    IdempotencyKeyRow,
    MessageRateRow,
    MessageRow,
    SessionCountRow,
    SessionDeliveryRow,
    SessionRow,
)
from shared.rows import ended, json_text, message_of, message_row, session_of
from shared.statements import P, Statements
from shared.writes import LEASE, Change, rate_windows, seconds_left

_ACTIVE = SQL("'active'")
_ENDED = SQL("'ended'")
_DELETED_AT_ONCE = 10  # expired answers that one write deletes


class SqliteWrites:
    """See `shared.writes.Writes`."""

    def __init__(self, statements: "SqliteStatements", message_limit: int = 0) -> None:
        self._sql = statements
        self._message_limit = message_limit

    def create(self, session: Session) -> Change[Session]:
        """Store a new session."""
        students = json_text(session.student_ids)

        def run(connection: Connection, repeat: bool) -> Session:
            if repeat and connection.execute(self._sql.session_status, (session.id,)).fetchall():
                return session
            connection.execute(
                self._sql.insert_session,
                (session.id, session.name, session.created_by, session.start_time, students),
            )
            connection.execute(self._sql.insert_enrollments, (session.start_time, session.id, students))
            connection.execute(self._sql.shift_count, (1,))
            return session

        return Change(run)

    def end(self, session_id: str, lease: Lease | None = None) -> Change[Session]:
        """End an active session; see `Writes.end`."""
        attempted: str | None = None  # the end time that an earlier attempt wrote

        def run(connection: Connection, repeat: bool) -> Session:
            nonlocal attempted
            rows = connection.execute(self._sql.session, (session_id,)).fetchall()
            if not rows:
                raise SessionNotFoundError
            session = session_of(rows[0])
            if session.status == ENDED:
                if repeat and session.end_time == attempted:
                    return session
                raise SessionAlreadyEndedError(session.end_time)
            ((_status, start, _sequence, last, *delivery),) = connection.execute(
                self._sql.session_and_last_message, (session_id,)
            ).fetchall()
            attempted = max(clock.now(), last or start)
            if lease is not None:
                self._lease(connection, lease, session_id, *delivery)
            connection.execute(self._sql.end_session, (attempted, session_id))
            connection.execute(self._sql.count_ended)
            return ended(session, attempted)

        return Change(run)

    def append(self, draft: MessageDraft, authorize: Callable[[], None], lease: Lease | None = None) -> Change[Message]:
        """Append a message to an active session; see `Writes.append`.

        The lease is taken before the only statement that counts. If that fails, the lease expires without a delivery.
        """
        message_id = new_id()
        attempted: tuple[int, str] | None = None  # the sequence and time that an earlier attempt wrote

        def run(connection: Connection, repeat: bool) -> Message:
            nonlocal attempted
            if repeat and attempted:
                rows = connection.execute(self._sql.message_id, (draft.session_id, attempted[0])).fetchall()
                if rows == [(message_id,)]:
                    return message_of(message_id, draft, attempted[1])
            rows = connection.execute(self._sql.session_and_last_message, (draft.session_id,)).fetchall()
            if not rows:
                raise SessionNotFoundError
            status, start_time, sequence, timestamp, connected, leased_until = rows[0]
            if status != ACTIVE:
                raise SessionEndedError
            authorize()
            if self._message_limit:
                self._count(connection, draft.from_user)
            attempted = ((sequence or 0) + 1, max(clock.now(), timestamp or start_time))
            message = message_of(message_id, draft, attempted[1])
            if lease is not None:
                self._lease(connection, lease, message_id, connected, leased_until)
            connection.execute(self._sql.insert_message, message_row(message, attempted[0]))
            return message

        return Change(run, atomic=not self._message_limit)

    def _lease(
        self, connection: Connection, lease: Lease, token: str, connected: int | None, until: str | None
    ) -> None:
        """Give the lease when the session has connections and nobody delivers. A repeated write may take it again."""
        lease.token = ""
        if connected and (until is None or until < clock.now()):
            connection.execute(self._sql.take_lease, (token, clock.ago(-LEASE), lease.session_id))
            lease.token = token

    def _count(self, connection: Connection, user_id: str) -> None:
        """Count one more message of a user. Raises `RateLimitedError`, and then nothing is written."""
        row = (user_id, clock.now(), *rate_windows(), self._message_limit)
        if not connection.execute(self._sql.count_message, row).fetchall():
            ((start,),) = connection.execute(self._sql.rate_window, (user_id,)).fetchall()
            raise RateLimitedError(self._message_limit, seconds_left(start))

    def keep_answer(self, connection: Connection, key: IdempotencyKey, answer: str, oldest: str) -> None:
        """Store a call's answer, and delete some that have expired."""
        row = (key.scope, key.key, key.fingerprint, answer, clock.now())
        connection.execute(self._sql.keep_answer, row)
        connection.execute(self._sql.delete_expired_answers, (oldest, _DELETED_AT_ONCE))

    def probe(self) -> Change[None]:
        """Write, and leave every row as it was."""

        def run(connection: Connection, repeat: bool) -> None:
            for step in (1, -1):  # SQLite does not write a row that is set to its own value
                connection.execute(self._sql.shift_count, (step,))

        return Change(run)


class SqliteStatements(Statements):
    """Every statement, for SQLite."""

    def total(self, status: str | None) -> Query:
        """How many sessions there are, of one status or in all; NULL when the rows with the counts are missing."""
        query = SessionCountRow.select(fn.sum(SessionCountRow.sessions))
        return query if status is None else query.where(SessionCountRow.status == SQL(f"'{status}'"))

    @cached_property
    def insert_session(self) -> str:
        """(id, name, created_by, start_time, student_ids)"""
        row = (
            SessionRow.id,
            SessionRow.name,
            SessionRow.created_by,
            SessionRow.start_time,
            SessionRow.student_ids,
        )
        return self.text(SessionRow.insert(dict.fromkeys(row, P) | {SessionRow.status: _ACTIVE}))

    @cached_property
    def insert_enrollments(self) -> str:
        """(start_time, session_id, student_ids as a JSON list)"""
        students = EnrollmentRow.select(SQL("value"), P, P).from_(SQL("json_each(?)"))
        columns = (EnrollmentRow.student_id, EnrollmentRow.start_time, EnrollmentRow.session_id)
        return self.text(EnrollmentRow.insert_from(students, columns))

    @cached_property
    def end_session(self) -> str:
        """(end_time, id)"""
        ended = {SessionRow.status: _ENDED, SessionRow.end_time: P}
        return self.text(SessionRow.update(ended).where(SessionRow.id == P))

    @cached_property
    def count_ended(self) -> str:
        """()"""
        change = SQL("iif(status = 'ended', 1, -1)")
        return self.text(SessionCountRow.update({SessionCountRow.sessions: SessionCountRow.sessions + change}))

    @cached_property
    def shift_count(self) -> str:
        """(by)"""
        count = {SessionCountRow.sessions: SessionCountRow.sessions + SQL("?")}
        return self.text(SessionCountRow.update(count).where(SessionCountRow.status == _ACTIVE))

    @cached_property
    def session_and_last_message(self) -> str:
        """(session_id) -> (status, start, sequence and time of its last message, connections, end of the lease)

        The second pair is None without messages, the third without connections.
        """
        return self.text(
            SessionRow.select(
                SessionRow.status,
                SessionRow.start_time,
                MessageRow.sequence,
                MessageRow.timestamp,
                SessionDeliveryRow.connected,
                SessionDeliveryRow.delivering_until,
            )
            .join(MessageRow, JOIN.LEFT_OUTER, on=(MessageRow.session_id == SessionRow.id))
            .join(SessionDeliveryRow, JOIN.LEFT_OUTER, on=(SessionDeliveryRow.session_id == SessionRow.id))
            .where(SessionRow.id == P)
            .order_by(MessageRow.sequence.desc())
            .limit(SQL("1"))
        )

    @cached_property
    def take_lease(self) -> str:
        """(token, until, session_id)"""
        taken = {SessionDeliveryRow.delivery_token: P, SessionDeliveryRow.delivering_until: P}
        return self.text(SessionDeliveryRow.update(taken).where(SessionDeliveryRow.session_id == P))

    @cached_property
    def insert_message(self) -> str:
        """(session_id, sequence, id, type, context, from_user, to_user, timestamp, content)"""
        return self.text(MessageRow.insert(dict.fromkeys(MessageRow._meta.sorted_fields, P)))

    @cached_property
    def count_message(self) -> str:
        """(user_id, now, oldest and newest start of a window, limit) -> (sent,), or no row when the limit is reached"""
        in_window = "(message_rates.window_start > ?3 AND message_rates.window_start < ?4)"
        first = {
            MessageRateRow.user_id: SQL("?1"),
            MessageRateRow.window_start: SQL("?2"),
            MessageRateRow.sent: SQL("1"),
        }
        counted = {
            MessageRateRow.sent: SQL(f"iif({in_window}, message_rates.sent + 1, 1)"),
            MessageRateRow.window_start: SQL(f"iif({in_window}, message_rates.window_start, ?2)"),
        }
        return self.text(
            MessageRateRow.insert(first)
            .on_conflict(
                conflict_target=(MessageRateRow.user_id,),
                update=counted,
                where=SQL(f"NOT {in_window} OR message_rates.sent < ?5"),
            )
            .returning(MessageRateRow.sent)
        )

    @cached_property
    def message_id(self) -> str:
        """(session_id, sequence) -> (id,)"""
        return self.text(
            MessageRow.select(MessageRow.id).where((MessageRow.session_id == P) & (MessageRow.sequence == P))
        )

    @cached_property
    def keep_answer(self) -> str:
        """(scope, key, fingerprint, answer, created_at); replaces an expired answer of the same key"""
        fields = IdempotencyKeyRow._meta.sorted_fields
        replaced = (IdempotencyKeyRow.fingerprint, IdempotencyKeyRow.answer, IdempotencyKeyRow.created_at)
        return self.text(
            IdempotencyKeyRow.insert(dict.fromkeys(fields, P)).on_conflict(
                conflict_target=(IdempotencyKeyRow.scope, IdempotencyKeyRow.key), preserve=replaced
            )
        )

    @cached_property
    def delete_expired_answers(self) -> str:
        """(creation time of the oldest valid answer, how many to delete at most)"""
        expired = (
            IdempotencyKeyRow.select(SQL("rowid"))
            .where(IdempotencyKeyRow.created_at < P)
            .order_by(IdempotencyKeyRow.created_at)
            .limit(P)
        )
        return self.text(IdempotencyKeyRow.delete().where(SQL("rowid").in_(expired)))
