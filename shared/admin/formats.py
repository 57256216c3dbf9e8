"""The formats of an export: UTF-8 lines, each a session or a message.

- `ndjson`: `{"session": …}`, then `{"sequence": …, "message": …}` for each of its messages, as the functions answer.
- `csv`: RFC 4180 with a header; the first column says whether a line is a session or a message. Students are separated
  by spaces. `content` is JSON. No value is changed: a spreadsheet may take a name that begins with `=` for a formula.
"""

import csv
from collections.abc import Callable
from typing import Protocol

import msgspec

from shared.engines import Row
from shared.entities import Message, Session

_encode = msgspec.json.Encoder().encode

_SESSION_COLUMNS = ("name", "created_by", "student_ids", "start_time", "end_time", "status")
_MESSAGE_COLUMNS = ("sequence", "message_id", "type", "context", "from_user", "to_user", "timestamp", "content")
_HEADER = ("record", "session_id", *_SESSION_COLUMNS, *_MESSAGE_COLUMNS)


class Format(Protocol):
    """Makes the lines of a file."""

    def header(self) -> bytes:
        """What the file begins with."""

    def session(self, session: Session) -> bytes:
        """A session's line."""

    def message(self, session_id: str, row: Row) -> bytes:
        """The line of a message, from a row of `Reads.messages`."""


class Ndjson:
    """JSON values, one in each line."""

    def header(self) -> bytes:
        """Nothing."""
        return b""

    def session(self, session: Session) -> bytes:
        """A line with the session."""
        return _encode({"session": session}) + b"\n"

    def message(self, session_id: str, row: Row) -> bytes:
        """A line with the message and its sequence."""
        return _encode({"sequence": row[0], "message": message_of_row(session_id, row[1:])}) + b"\n"


class Csv:
    """Comma-separated values."""

    def __init__(self) -> None:
        self._row: Callable[[tuple[object, ...]], str] = csv.writer(_Returning()).writerow

    def header(self) -> bytes:
        """The names of the columns."""
        return self._line(_HEADER)

    def session(self, session: Session) -> bytes:
        """A line with the columns of a session."""
        students = " ".join(session.student_ids)
        period = (session.start_time, session.end_time, session.status)
        empty = ("",) * len(_MESSAGE_COLUMNS)
        return self._line(("session", session.id, session.name, session.created_by, students, *period, *empty))

    def message(self, session_id: str, row: Row) -> bytes:
        """A line with the columns of a message."""
        *values, content, timestamp = row
        empty = ("",) * len(_SESSION_COLUMNS)
        return self._line(("message", session_id, *empty, *values, timestamp, content))

    def _line(self, values: tuple[object, ...]) -> bytes:
        return self._row(values).encode()


FORMATS: dict[str, type[Format]] = {"ndjson": Ndjson, "csv": Csv}


def message_of_row(session_id: str, row: Row) -> Message:
    """The message of a row of `MESSAGE_COLUMNS`."""
    message_id, kind, context, from_user, to_user, content, timestamp = row
    return Message(message_id, session_id, kind, context, from_user, to_user, msgspec.Raw(content), timestamp)


class _Returning:
    """A file whose `write` returns the text: so `writerow` returns its line."""

    def write(self, text: str) -> str:
        return text
