"""What an export, a purge, an erasure and a report read: page by page, so a read never lasts long.

The order is that of keys that never change. So a caller may delete and change what it has read between two pages.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from shared.engines import Connection, Engine, Row
from shared.entities import Session
from shared.paging import PAGE_BYTES
from shared.rows import session_of

_PAGE_ROWS = 1000
_CUT_ROWS = 2000  # messages that one step of a purge deletes at most
_SPAN = 1000  # messages that are searched with one statement
_SPANS = 64  # statements of one search, which are sent together

_FIRST = ("0001-01-01T00:00:00.000000Z", "00000000-0000-0000-0000-000000000000")
"""Before every start time and session id."""

_COUNTS = """
  length(student_ids) - length(replace(student_ids, ',', '')) + 1,
  coalesce((SELECT max(sequence) FROM messages WHERE messages.session_id = sessions.id), 0)
"""
_SUMMARY = f"id, start_time, end_time, status, {_COUNTS}"
_SESSION = f"id, name, created_by, student_ids, start_time, end_time, status, {_COUNTS}"

# The index of ended sessions has their start. A session that ended before a time also started before it.
_ENDED_BEFORE = "status = 'ended' AND start_time < ? AND end_time < ?"
_ANY = "TRUE"
_AFTER = f"FROM sessions WHERE %s AND (start_time, id) > (?, ?) ORDER BY start_time, id LIMIT {_PAGE_ROWS}"

_MESSAGE = "sequence, CAST(id AS text), type, context, from_user, to_user, content, timestamp"
_MESSAGES = f"""
SELECT {_MESSAGE} FROM messages WHERE session_id = ? AND sequence > ? AND sequence <= ?
ORDER BY sequence LIMIT {_PAGE_ROWS}
"""
_SIZES = f"""
SELECT sequence, octet_length(content) FROM messages WHERE session_id = ? AND sequence <= ?
ORDER BY sequence DESC LIMIT {_CUT_ROWS}
"""
_OF_USER = """
SELECT {} FROM messages
WHERE session_id = ? AND sequence > ? AND sequence <= ? AND (from_user = ? OR to_user = ?) ORDER BY sequence
"""
_ANSWERS = f"""
SELECT scope, key, answer, created_at FROM idempotency_keys WHERE (scope, key) > (?, ?)
ORDER BY scope, key LIMIT {_PAGE_ROWS}
"""
_EXPIRED = f"""
SELECT octet_length(answer) FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT {_PAGE_ROWS}
"""
_RATE = "SELECT window_start, sent FROM message_rates WHERE user_id = ?"
_CONNECTIONS = "SELECT session_id, role, connected_at, state FROM connections WHERE user_id = ?"
_NUMBERS = """
SELECT (SELECT count(*) FROM enrollments), (SELECT count(*) FROM idempotency_keys),
  (SELECT count(*) FROM idempotency_keys WHERE created_at < ?), (SELECT count(*) FROM message_rates),
  (SELECT count(*) FROM erasures)
"""


class Summary(NamedTuple):
    """A session without its roster. `students` and `messages` are numbers; the last message has this sequence."""

    id: str
    start_time: str
    end_time: str | None
    status: str
    students: int
    messages: int


class Part(NamedTuple):
    """A session, and whether a user created it or is on its roster."""

    session: Summary
    created: bool
    enrolled: bool


class Held(NamedTuple):
    """A message of a user: the session, its sequence, and what was asked for: its size, or its other columns."""

    session_id: str
    sequence: int
    rest: Row


class KeptAnswer(NamedTuple):
    """A kept answer, as JSON text."""

    scope: str
    key: str
    answer: str
    created_at: str


class Reads:
    """The pages of one database. Every method may raise the `DatabaseError` family."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- sessions

    def sessions(self, ended_before: str | None = None) -> Iterator[Summary]:
        """Every session, or those that ended before a time, the earliest start first."""
        condition, bindings = (_ANY, ()) if ended_before is None else (_ENDED_BEFORE, (ended_before,) * 2)
        for row in self._pages(f"SELECT {_SUMMARY} {_AFTER % condition}", bindings, lambda row: (row[1], row[0])):
            yield Summary(*row)

    def sessions_with(self, user_id: str) -> Iterator[Part]:
        """Every session, and the user's part in it."""
        listed = """student_ids <> replace(student_ids, '"' || ? || '"', '')"""
        statement = f"SELECT {_SUMMARY}, created_by = ?, {listed} {_AFTER % _ANY}"
        for row in self._pages(statement, (user_id, user_id), lambda row: (row[1], row[0])):
            yield Part(Summary(*row[:6]), bool(row[6]), bool(row[7]))

    def whole_sessions(self, ended_before: str) -> Iterator[tuple[Session, int]]:
        """The sessions that ended before a time, with their rosters, and the sequence of their last message."""
        statement = f"SELECT {_SESSION} {_AFTER % _ENDED_BEFORE}"
        for row in self._pages(statement, (ended_before,) * 2, lambda row: (row[4], row[0])):
            yield session_of(row[:7]), row[8]

    def whole_session(self, session_id: str) -> tuple[Session, int] | None:
        """A session, and the sequence of its last message; None when there is no such session."""
        rows = self._fetch(f"SELECT {_SESSION} FROM sessions WHERE id = ?", session_id)
        return (session_of(rows[0][:7]), rows[0][8]) if rows else None

    def session_count(self) -> int:
        """The number of sessions."""
        return int(self._fetch("SELECT count(*) FROM sessions")[0][0])

    def is_active(self, session_id: str) -> bool:
        """Whether there is such a session and it has not ended."""
        return self._fetch("SELECT status FROM sessions WHERE id = ?", session_id) == [("active",)]

    # --- messages

    def messages(self, session_id: str, last: int) -> Iterator[list[Row]]:
        """Pages of the messages up to the sequence `last`, with the columns of `MESSAGE_COLUMNS` after the sequence."""
        after = 0
        while after < last and (rows := self._walk(_MESSAGES, (session_id, after, last), _content_length)):
            yield rows
            after = rows[-1][0]

    def cut(self, session_id: str, last: int, room: int, row_bytes: int) -> tuple[int, int]:
        """The sequence after which messages fit into so many bytes, at least one; and how many bytes they take.

        `last` is the sequence of the last message, `row_bytes` what a message takes beside its content.
        """

        def read(rows: Iterator[Row]) -> tuple[int, int]:
            keep, taken = 0, 0
            for sequence, size in rows:
                if taken and taken + size + row_bytes > room:
                    return sequence, taken
                taken += size + row_bytes
                keep = sequence - 1
            return keep, taken

        return self._engine.walk(self._dialect(_SIZES), (session_id, last), read)

    def messages_of(self, user_id: str, sessions: Iterable[Summary], *, whole: bool) -> Iterator[list[Held]]:
        """The messages from or to a user in these sessions, in their order; a list for each statement with some.

        `rest` is (size of the content in bytes,), or the columns of a message without the sequence if `whole`.
        """
        columns = _MESSAGE if whole else "sequence, octet_length(content)"
        statement = self._dialect(_OF_USER.format(columns))
        for spans in _grouped(sessions):
            found = self._engine.snapshot(partial(_search, statement, spans, user_id))
            for (session_id, _after, _last), rows in zip(spans, found, strict=True):
                if rows:
                    yield [Held(session_id, row[0], row[1:]) for row in rows]

    # --- the rest

    def answers(self) -> Iterator[KeptAnswer]:
        """Every kept answer."""
        after: Row = ("", "")
        while rows := self._walk(_ANSWERS, after, lambda row: len(row[2])):
            yield from (KeptAnswer(*row) for row in rows)
            after = rows[-1][:2]

    def expired_answers(self, oldest: str, room: int, row_bytes: int) -> int:
        """How many answers that are older than `oldest` fit into so many bytes; at least one, if there is one."""

        def read(rows: Iterator[Row]) -> int:
            number = taken = 0
            for (size,) in rows:
                taken += size + row_bytes
                if number and taken > room:
                    break
                number += 1
            return number

        return self._engine.walk(self._dialect(_EXPIRED), (oldest,), read)

    def rate(self, user_id: str) -> Row | None:
        """(start of the minute, messages in it) of a user's message count."""
        rows = self._fetch(_RATE, user_id)
        return rows[0] if rows else None

    def connections(self, user_id: str) -> list[Row]:
        """(session, role, start, state) of each connection of a user. Rows of connections last two hours at most."""
        return self._fetch(_CONNECTIONS, user_id)

    def numbers(self, oldest_answer: str) -> Row:
        """How many enrollments, kept answers, expired ones among them, message counts and erasures there are."""
        return self._fetch(_NUMBERS, oldest_answer)[0]

    def bytes(self) -> int:
        """The size of the database in bytes; on SQLite without its log."""
        statement = (
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
            if self._engine.kind == "sqlite"
            else "SELECT pg_database_size(current_database())"
        )
        return int(self._fetch(statement)[0][0])

    # --- pages

    def _pages(self, statement: str, bindings: Row, key_of: Callable[[Row], Row]) -> Iterator[Row]:
        """The rows of every page; `statement` ends with the parameters (start time, id) of the last session seen."""
        after: Row = _FIRST
        while rows := self._walk(statement, (*bindings, *after), _roster_length):
            yield from rows
            after = key_of(rows[-1])

    def _walk(self, statement: str, bindings: Row, length: Callable[[Row], int]) -> list[Row]:
        """The first rows, at least one where there is one, that take about as much memory as one response."""

        def read(rows: Iterator[Row]) -> list[Row]:
            taken, room = list[Row](), PAGE_BYTES
            for row in rows:
                taken.append(row)
                room -= length(row)
                if room < 0:
                    break
            return taken

        return self._engine.walk(self._dialect(statement), bindings, read)

    def _fetch(self, statement: str, *bindings: object) -> list[Row]:
        return self._engine.fetch(self._dialect(statement), bindings)

    def _dialect(self, statement: str) -> str:
        return statement if self._engine.kind == "sqlite" else statement.replace("?", "%s")


class _Span(NamedTuple):
    session_id: str
    after: int
    last: int


def _grouped(sessions: Iterable[Summary]) -> Iterator[list[_Span]]:
    """Parts of the sessions, in groups of about `_SPAN` messages."""
    group, messages = list[_Span](), 0
    for session in sessions:
        for after in range(0, session.messages, _SPAN):
            span = _Span(session.id, after, min(session.messages, after + _SPAN))
            group.append(span)
            messages += span.last - after
            if messages >= _SPAN or len(group) == _SPANS:
                yield group
                group, messages = [], 0
    if group:
        yield group


def _search(statement: str, spans: list[_Span], user_id: str, connection: Connection) -> list[list[Row]]:
    found = [connection.execute(statement, (*span, user_id, user_id)) for span in spans]
    return [cursor.fetchall() for cursor in found]


def _roster_length(row: Row) -> int:
    return len(row[3])


def _content_length(row: Row) -> int:
    return len(row[6])
