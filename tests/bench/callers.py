"""The callers of the section on engines: the service's managers on each engine, and psycopg without the service."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count, cycle
from typing import Protocol

import msgspec
import psycopg

from shared import clock
from shared.database import DatabaseManager
from shared.entities import MessageDraft, Session
from shared.identifiers import new_id
from shared.messages import MessageManager
from shared.sessions import SessionManager
from tests.bench.databases import CONTENT, CONTEXT, TYPE, Classrooms
from tests.bench.harness import Call

VALIDATE, STORE, CREATE, HISTORY = CALLS = ("validate", "store", "create", "history page")
CROWD = 32  # callers at once

_sequences = count(10**9)  # far behind those that the service gives
RAW_CONTENT = msgspec.Raw(CONTENT.encode())


class Caller(Protocol):
    """Somebody who does the same work in a way of its own."""

    def calls(self) -> dict[str, Call]:
        """What one caller does, by the names of `CALLS`."""

    def store(self, number: int) -> Call:
        """Store messages, each caller in a session of its own."""

    def close(self) -> None:
        """Close its connections."""


@dataclass
class Service:
    """The service's managers on one engine."""

    room: Classrooms
    database: DatabaseManager

    def calls(self) -> dict[str, Call]:
        """What one caller does."""
        sessions = SessionManager(self.database)
        sessions.load_active_sessions()
        messages = MessageManager(self.database, sessions)
        joining = cycle([(self.room.ids[number], self.room.students(number)[0]) for number in _newest(self.room)])
        read = cycle(self.room.ids)
        return {
            VALIDATE: lambda: sessions.validate_session_membership(*next(joining), "student"),
            STORE: self.store(0),
            CREATE: lambda: self.database.create_session(
                Session(new_id(), "Algebra", "ms_noether", tuple(self.room.students(0)), clock.now())
            ),
            HISTORY: lambda: messages.session_history(next(read), limit=self.room.messages),
        }

    def store(self, number: int) -> Call:
        """Store messages, each caller in a session of its own."""
        draft = MessageDraft(self.room.ids[number], TYPE, CONTEXT, self.room.students(number)[0], None, RAW_CONTENT)
        return lambda: self.database.store_message(draft)

    def close(self) -> None:
        """Close its connections."""
        self.database.close()


class Psycopg:
    """The driver without the service: the lower bound of what a call costs."""

    def __init__(self, room: Classrooms, url: str) -> None:
        self._room, self._url = room, url
        self._connections: list[psycopg.Connection] = []

    def _connect(self, *, autocommit: bool = False) -> psycopg.Connection:
        self._connections.append(psycopg.connect(self._url, autocommit=autocommit))
        return self._connections[-1]

    def close(self) -> None:
        """Close its connections."""
        for connection in self._connections:
            connection.close()

    def calls(self) -> dict[str, Call]:
        """What one caller does."""
        joining, read = cycle([self._room.ids[number] for number in _newest(self._room)]), cycle(self._room.ids)
        students = msgspec.json.encode(self._room.students(0)).decode()
        reading, writing, ids = self._connect(autocommit=True), self._connect(), _ids()

        def create() -> None:
            row = (next(ids), "Algebra", "ms_noether", clock.now(), None, "active", students)
            writing.execute("INSERT INTO sessions VALUES (%s, %s, %s, %s, %s, %s, %s)", row)
            writing.commit()

        status, page = (
            "SELECT status FROM sessions WHERE id = %s",
            (
                "SELECT sequence, id, session_id, type, context, from_user, to_user, content, timestamp FROM messages"
                " WHERE session_id = %s ORDER BY sequence LIMIT %s"
            ),
        )
        return {
            VALIDATE: lambda: reading.execute(status, (next(joining),)).fetchall(),
            STORE: self.store(0),
            CREATE: create,
            HISTORY: lambda: reading.execute(page, (next(read), self._room.messages)).fetchall(),
        }

    def store(self, number: int) -> Call:
        """Store messages, each caller in a session of its own."""
        connection, key, ids = self._connect(), self._room.ids[-1 - number], _ids()
        student = self._room.students(number)[0]
        statement = "INSERT INTO messages VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"

        def write() -> None:
            row = (key, next(_sequences), next(ids), TYPE, CONTEXT, student, None, clock.now(), CONTENT)
            connection.execute(statement, row)
            connection.commit()

        return write


def _newest(room: Classrooms) -> range:
    return range(room.sessions)[-100:]


def _ids() -> Iterator[str]:
    """Identifiers whose making does not count."""
    return chain([new_id() for _ in range(2000)], iter(new_id, None))
