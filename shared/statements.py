"""The SQL of the reads, which all engines share: peewee builds each statement once from the models.

After that the driver gets the text: building a statement takes twice as long as SQLite needs to run it. `P` is
a parameter. The docstring of a statement lists its parameters in order, then the columns of its rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

from peewee import SQL, Database, Query, Value, fn

from shared.entities import ACTIVE, BROADCAST, STUDENT_MESSAGE_TYPES
from shared.models import EnrollmentRow, IdempotencyKeyRow, MessageRateRow, MessageRow, SessionRow

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
    MessageRow.id.cast("text"),  # the server converts it to text faster than Python
    MessageRow.type,
    MessageRow.context,
    MessageRow.from_user,
    MessageRow.to_user,
    MessageRow.content,
    MessageRow.timestamp,
)


class Dialect:
    """Turns queries into SQL text for one engine."""

    def __init__(self, dialect: Database) -> None:
        self._dialect = dialect

    def text(self, query: Query) -> str:
        """The query's SQL."""
        sql, _parameters = query.bind(self._dialect).sql()
        return str(sql)


class Statements(Dialect, ABC):
    """The reads as SQL text, for the dialect of one engine."""

    def __init__(self, dialect: Database) -> None:
        super().__init__(dialect)
        self._lists: dict[tuple[Any, ...], str] = {}

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

    @cached_property
    def active_sessions(self) -> str:
        """() -> every active session, newest first"""
        newest_first = (SessionRow.start_time.desc(), SessionRow.id.desc())
        return self.text(_matching(SESSION_COLUMNS, ACTIVE, False, False).order_by(*newest_first))

    def list_page(self, *, status: str | None, creator: bool, student: bool, after: bool) -> str:
        """([student_id], [created_by], [start_time, start_time, id of the last session seen], limit) -> sessions"""
        return self._list(_list_page, status, creator, student, after)

    def list_total(self, *, status: str | None, creator: bool, student: bool) -> str:
        """([student_id], [created_by]) -> (how many sessions match,)"""
        if not (creator or student):
            return self._list(self.total, status)
        return self._list(_list_total, status, creator, student)

    @abstractmethod
    def total(self, status: str | None) -> Query:
        """How many sessions there are, of one status or in all, from stored counts; each engine has its own."""

    def _list(self, build: Callable[..., Query], *shape: Any) -> str:
        if (build, *shape) not in self._lists:
            self._lists[build, *shape] = self.text(build(*shape))
        return self._lists[build, *shape]

    # --- messages

    @cached_property
    def history(self) -> str:
        """(session_id, sequence of the last message seen, limit) -> (sequence, *MESSAGE_COLUMNS) of messages"""
        return self.text(history().limit(P))

    @cached_property
    def history_of_student(self) -> str:
        """(session_id, sequence, student, student, limit) -> messages from or to the student, and broadcasts"""
        sent = (MessageRow.from_user == P) & MessageRow.type.in_([SQL(f"'{name}'") for name in STUDENT_MESSAGE_TYPES])
        received = (MessageRow.to_user == P) | (MessageRow.type == SQL(f"'{BROADCAST}'"))
        return self.text(history().where(sent | received).limit(P))

    @cached_property
    def rate_window(self) -> str:
        """(user_id) -> (window_start,)"""
        return self.text(MessageRateRow.select(MessageRateRow.window_start).where(MessageRateRow.user_id == P))

    # --- idempotency keys

    @cached_property
    def kept_answer(self) -> str:
        """(scope, key, creation time of the oldest valid answer) -> (fingerprint, answer)"""
        return self.text(
            IdempotencyKeyRow.select(IdempotencyKeyRow.fingerprint, IdempotencyKeyRow.answer).where(
                (IdempotencyKeyRow.scope == P) & (IdempotencyKeyRow.key == P) & (IdempotencyKeyRow.created_at >= P)
            )
        )


def history(after: Any = P) -> Query:
    """(session_id, [sequence]) -> (sequence, *MESSAGE_COLUMNS) of a session's messages after that one, in order."""
    return (
        MessageRow.select(MessageRow.sequence, *MESSAGE_COLUMNS)
        .where((MessageRow.session_id == P) & (MessageRow.sequence > after))
        .order_by(MessageRow.sequence)
    )


def _list_page(status: str | None, creator: bool, student: bool, after: bool) -> Query:
    query = _matching(SESSION_COLUMNS, status, creator, student)
    start_time, session_id = (
        (EnrollmentRow.start_time, EnrollmentRow.session_id) if student else (SessionRow.start_time, SessionRow.id)
    )
    if after:  # the first condition finds the place in the index, the second skips seen sessions of the same start
        query = query.where((start_time <= P) & ((start_time < P) | (session_id < P)))
    return query.order_by(start_time.desc(), session_id.desc()).limit(P)


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
