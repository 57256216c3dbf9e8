"""The SQL that engines have in common, built from the models by peewee, once each, for the engine's dialect.

A hot statement then goes to the driver as text: building it anew would cost twice what SQLite needs to run it. `P`
stands for a parameter; each statement's docstring names them in order, and what comes back.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

from peewee import SQL, Database, Query, Value, fn

from shared.entities import BROADCAST, STUDENT_MESSAGE_TYPES
from shared.models import EnrollmentRow, IdempotencyKeyRow, MessageRow, SessionRow

P = Value(None, converter=False)

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
    MessageRow.id.cast("text"),  # what the server turns into text is cheaper than what is turned into it here
    MessageRow.type,
    MessageRow.context,
    MessageRow.from_user,
    MessageRow.to_user,
    MessageRow.content,
    MessageRow.timestamp,
)


class Statements(ABC):
    """The reads, as text for one dialect; `shared.writes` has the writes."""

    def __init__(self, dialect: Database) -> None:
        self._dialect = dialect
        self._lists: dict[tuple[Any, ...], str] = {}

    def text(self, query: Query) -> str:
        """The query's SQL."""
        sql, _parameters = query.bind(self._dialect).sql()
        return str(sql)

    # --- sessions

    @cached_property
    def session(self) -> str:
        """(id) -> the columns of a session."""
        return self.text(SessionRow.select(*SESSION_COLUMNS).where(SessionRow.id == P))

    @cached_property
    def session_status(self) -> str:
        """(id) -> (status,)"""
        return self.text(SessionRow.select(SessionRow.status).where(SessionRow.id == P))

    # --- lists of sessions

    def list_page(self, *, status: str | None, creator: bool, student: bool, after: bool) -> str:
        """([student_id], [created_by], [start_time, start_time, id of the last one seen], limit) -> sessions"""
        return self._list(_list_page, status, creator, student, after)

    def list_total(self, *, status: str | None, creator: bool, student: bool) -> str:
        """([student_id], [created_by]) -> (how many sessions match,)"""
        if not (creator or student):
            return self._list(self.total, status)
        return self._list(_list_total, status, creator, student)

    @abstractmethod
    def total(self, status: str | None) -> Query:
        """How many sessions there are, of a status or in all, without counting them; the engine's own."""

    def _list(self, build: Callable[..., Query], *shape: Any) -> str:
        if (build, *shape) not in self._lists:
            self._lists[build, *shape] = self.text(build(*shape))
        return self._lists[build, *shape]

    # --- messages

    @cached_property
    def history(self) -> str:
        """(session_id, sequence of the last one seen, limit) -> (sequence, *MESSAGE_COLUMNS) of messages"""
        return self.text(_history().limit(P))

    @cached_property
    def history_of_student(self) -> str:
        """(session_id, sequence, student, student, limit) -> what the student sent, was sent, and broadcasts"""
        sent = (MessageRow.from_user == P) & MessageRow.type.in_([SQL(f"'{name}'") for name in STUDENT_MESSAGE_TYPES])
        received = (MessageRow.to_user == P) | (MessageRow.type == SQL(f"'{BROADCAST}'"))
        return self.text(_history().where(sent | received).limit(P))

    # --- idempotency keys

    @cached_property
    def kept_answer(self) -> str:
        """(scope, key, oldest creation that still counts) -> (fingerprint, answer)"""
        return self.text(
            IdempotencyKeyRow.select(IdempotencyKeyRow.fingerprint, IdempotencyKeyRow.answer).where(
                (IdempotencyKeyRow.scope == P) & (IdempotencyKeyRow.key == P) & (IdempotencyKeyRow.created_at >= P)
            )
        )


def _history() -> Query:
    return (
        MessageRow.select(MessageRow.sequence, *MESSAGE_COLUMNS)
        .where((MessageRow.session_id == P) & (MessageRow.sequence > P))
        .order_by(MessageRow.sequence)
    )


def _list_page(status: str | None, creator: bool, student: bool, after: bool) -> Query:
    query = _matching(SESSION_COLUMNS, status, creator, student)
    start_time, session_id = (
        (EnrollmentRow.start_time, EnrollmentRow.session_id) if student else (SessionRow.start_time, SessionRow.id)
    )
    if after:  # the first condition walks along the index, the second leaves out what was seen of the same instant
        query = query.where((start_time <= P) & ((start_time < P) | (session_id > P)))
    return query.order_by(start_time.desc(), session_id).limit(P)


def _list_total(status: str | None, creator: bool, student: bool) -> Query:
    return _matching((fn.count(SQL("*")),), status, creator, student)


def _matching(columns: tuple[Any, ...], status: str | None, creator: bool, student: bool) -> Query:
    query = SessionRow.select(*columns)
    if student:
        query = query.join(EnrollmentRow, on=(EnrollmentRow.session_id == SessionRow.id))
        query = query.where(EnrollmentRow.student_id == P)
    if creator:
        query = query.where(SessionRow.created_by == P)
    if status is not None:
        query = query.where(SessionRow.status == SQL(f"'{status}'"))
    return query
