"""The SQL, built from the models by peewee, once each, for the engine's dialect.

A hot statement then goes to the driver as text: building it anew would cost twice what SQLite needs to run it. `_P`
stands for a parameter; each statement's docstring names them in order, and what comes back.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from peewee import JOIN, SQL, Database, Query, Value, fn

from shared.entities import BROADCAST, STUDENT_MESSAGE_TYPES
from shared.models import EnrollmentRow, IdempotencyKeyRow, MessageRow, SessionCountRow, SessionRow

_P = Value(None, converter=False)
_ACTIVE = SQL("'active'")
_ENDED = SQL("'ended'")

SESSION_COLUMNS = (
    SessionRow.id,
    SessionRow.name,
    SessionRow.created_by,
    SessionRow.student_ids,
    SessionRow.start_time,
    SessionRow.end_time,
    SessionRow.status,
)
MESSAGE_COLUMNS = (
    MessageRow.id,
    MessageRow.session_id,
    MessageRow.type,
    MessageRow.context,
    MessageRow.from_user,
    MessageRow.to_user,
    MessageRow.content,
    MessageRow.timestamp,
)


class Statements:
    """Every statement of the service, as text for one dialect."""

    def __init__(self, dialect: Database) -> None:
        self._dialect = dialect
        self._lists: dict[tuple[Any, ...], str] = {}

    def _text(self, query: Query) -> str:
        sql, _parameters = query.bind(self._dialect).sql()
        return str(sql)

    # --- sessions

    @cached_property
    def session(self) -> str:
        """(id) -> the columns of a session."""
        return self._text(SessionRow.select(*SESSION_COLUMNS).where(SessionRow.id == _P))

    @cached_property
    def session_status(self) -> str:
        """(id) -> (status,)"""
        return self._text(SessionRow.select(SessionRow.status).where(SessionRow.id == _P))

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
        return self._text(SessionRow.insert(dict.fromkeys(row, _P) | {SessionRow.status: _ACTIVE}))

    @cached_property
    def insert_enrollments(self) -> str:
        """(start_time, session_id, student_ids as a JSON list)"""
        students = EnrollmentRow.select(SQL("value"), _P, _P).from_(SQL("json_each(?)"))
        columns = (EnrollmentRow.student_id, EnrollmentRow.start_time, EnrollmentRow.session_id)
        return self._text(EnrollmentRow.insert_from(students, columns))

    @cached_property
    def end_session(self) -> str:
        """(end_time, id)"""
        ended = {SessionRow.status: _ENDED, SessionRow.end_time: _P}
        return self._text(SessionRow.update(ended).where(SessionRow.id == _P))

    @cached_property
    def count_created(self) -> str:
        """()"""
        count = {SessionCountRow.sessions: SessionCountRow.sessions + SQL("1")}
        return self._text(SessionCountRow.update(count).where(SessionCountRow.status == _ACTIVE))

    @cached_property
    def count_ended(self) -> str:
        """()"""
        change = SQL("iif(status = 'ended', 1, -1)")
        return self._text(SessionCountRow.update({SessionCountRow.sessions: SessionCountRow.sessions + change}))

    @cached_property
    def shift_count(self) -> str:
        """(by)"""
        count = {SessionCountRow.sessions: SessionCountRow.sessions + SQL("?")}
        return self._text(SessionCountRow.update(count).where(SessionCountRow.status == _ACTIVE))

    # --- lists of sessions

    def list_page(self, *, status: str | None, creator: bool, student: bool, after: bool) -> str:
        """([student_id], [created_by], [start_time, start_time, id of the last one seen], limit) -> sessions"""
        return self._list(_list_page, status, creator, student, after)

    def list_total(self, *, status: str | None, creator: bool, student: bool) -> str:
        """([student_id], [created_by]) -> (how many sessions match,)"""
        return self._list(_list_total, status, creator, student)

    def _list(self, build: Callable[..., Query], *shape: Any) -> str:
        if (build, *shape) not in self._lists:
            self._lists[build, *shape] = self._text(build(*shape))
        return self._lists[build, *shape]

    # --- messages

    @cached_property
    def session_and_last_message(self) -> str:
        """(session_id) -> (status, sequence of its last message, its timestamp), the last two None without messages"""
        return self._text(
            SessionRow.select(SessionRow.status, MessageRow.sequence, MessageRow.timestamp)
            .join(MessageRow, JOIN.LEFT_OUTER, on=(MessageRow.session_id == SessionRow.id))
            .where(SessionRow.id == _P)
            .order_by(MessageRow.sequence.desc())
            .limit(SQL("1"))
        )

    @cached_property
    def insert_message(self) -> str:
        """(session_id, sequence, id, type, context, from_user, to_user, timestamp, content)"""
        return self._text(MessageRow.insert(dict.fromkeys(MessageRow._meta.sorted_fields, _P)))

    @cached_property
    def message_id(self) -> str:
        """(session_id, sequence) -> (id,)"""
        return self._text(
            MessageRow.select(MessageRow.id).where((MessageRow.session_id == _P) & (MessageRow.sequence == _P))
        )

    @cached_property
    def history(self) -> str:
        """(session_id, sequence of the last one seen, limit) -> sequence and columns of messages"""
        return self._text(_history().limit(_P))

    @cached_property
    def history_of_student(self) -> str:
        """(session_id, sequence, student, student, limit) -> what the student sent, was sent, and broadcasts"""
        sent = (MessageRow.from_user == _P) & MessageRow.type.in_([SQL(f"'{name}'") for name in STUDENT_MESSAGE_TYPES])
        received = (MessageRow.to_user == _P) | (MessageRow.type == SQL(f"'{BROADCAST}'"))
        return self._text(_history().where(sent | received).limit(_P))

    # --- idempotency keys

    @cached_property
    def kept_answer(self) -> str:
        """(scope, key, oldest creation that still counts) -> (fingerprint, answer)"""
        return self._text(
            IdempotencyKeyRow.select(IdempotencyKeyRow.fingerprint, IdempotencyKeyRow.answer).where(
                (IdempotencyKeyRow.scope == _P) & (IdempotencyKeyRow.key == _P) & (IdempotencyKeyRow.created_at >= _P)
            )
        )

    @cached_property
    def keep_answer(self) -> str:
        """(scope, key, fingerprint, answer, created_at); takes the place of an expired answer"""
        fields = IdempotencyKeyRow._meta.sorted_fields
        replaced = (IdempotencyKeyRow.fingerprint, IdempotencyKeyRow.answer, IdempotencyKeyRow.created_at)
        return self._text(
            IdempotencyKeyRow.insert(dict.fromkeys(fields, _P)).on_conflict(
                conflict_target=(IdempotencyKeyRow.scope, IdempotencyKeyRow.key), preserve=replaced
            )
        )

    @cached_property
    def drop_expired_answers(self) -> str:
        """(oldest creation that still counts, how many at most)"""
        expired = (
            IdempotencyKeyRow.select(SQL("rowid"))
            .where(IdempotencyKeyRow.created_at < _P)
            .order_by(IdempotencyKeyRow.created_at)
            .limit(_P)
        )
        return self._text(IdempotencyKeyRow.delete().where(SQL("rowid").in_(expired)))


def _history() -> Query:
    return (
        MessageRow.select(MessageRow.sequence, *MESSAGE_COLUMNS)
        .where((MessageRow.session_id == _P) & (MessageRow.sequence > _P))
        .order_by(MessageRow.sequence)
    )


def _list_page(status: str | None, creator: bool, student: bool, after: bool) -> Query:
    query = _matching(SESSION_COLUMNS, status, creator, student)
    start_time, session_id = (
        (EnrollmentRow.start_time, EnrollmentRow.session_id) if student else (SessionRow.start_time, SessionRow.id)
    )
    if after:  # the first condition walks along the index, the second leaves out what was seen of the same instant
        query = query.where((start_time <= _P) & ((start_time < _P) | (session_id > _P)))
    return query.order_by(start_time.desc(), session_id).limit(_P)


def _list_total(status: str | None, creator: bool, student: bool) -> Query:
    if creator or student:
        return _matching((fn.count(SQL("*")),), status, creator, student)
    query = SessionCountRow.select(fn.sum(SessionCountRow.sessions))
    return query if status is None else query.where(SessionCountRow.status == SQL(f"'{status}'"))


def _matching(columns: tuple[Any, ...], status: str | None, creator: bool, student: bool) -> Query:
    query = SessionRow.select(*columns)
    if student:
        query = query.join(EnrollmentRow, on=(EnrollmentRow.session_id == SessionRow.id))
        query = query.where(EnrollmentRow.student_id == _P)
    if creator:
        query = query.where(SessionRow.created_by == _P)
    if status is not None:
        query = query.where(SessionRow.status == SQL(f"'{status}'"))
    return query
