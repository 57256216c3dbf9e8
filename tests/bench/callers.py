"""Who calls in the section on engines: the service's managers on either engine, and psycopg alone."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
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

_CONTENT = msgspec.Raw(CONTENT.encode())


class Caller(Protocol):
    """Somebody who does the same work in a way of its own."""

    def calls(self) -> dict[str, Call]:
        """What one caller does, by the names of `CALLS`."""

    def store(self, number: int) -> Call:
        """Store messages, each caller in a session of its own."""


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
        draft = MessageDraft(self.room.ids[number], TYPE, CONTEXT, self.room.students(number)[0], None, _CONTENT)
        return lambda: self.database.store_message(draft)


class Psycopg:
    """The driver alone: the least that a call can cost."""

    def __init__(self, room: Classrooms, url: str, stack: ExitStack) -> None:
        self._room, self._url, self._stack = room, url, stack
        self._reads = stack.enter_context(psycopg.connect(url, autocommit=True))
        self._sequences = count(10**9)  # far behind those that the service gives
        self._connections = {number: self._connect() for number in range(CROWD)}

    def _connect(self) -> psycopg.Connection:
        return self._stack.enter_context(closing(psycopg.connect(self._url)))

    def calls(self) -> dict[str, Call]:
        """What one caller does."""
        joining, read = cycle([self._room.ids[number] for number in _newest(self._room)]), cycle(self._room.ids)
        students = msgspec.json.encode(self._room.students(0)).decode()
        writing, ids = self._connections[0], _ids()

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
            VALIDATE: lambda: self._reads.execute(status, (next(joining),)).fetchall(),
            STORE: self.store(0),
            CREATE: create,
            HISTORY: lambda: self._reads.execute(page, (next(read), self._room.messages)).fetchall(),
        }

    def store(self, number: int) -> Call:
        """Store messages, each caller in a session of its own."""
        connection, key, ids = self._connections[number], self._room.ids[-1 - number], _ids()
        student, sequences = self._room.students(number)[0], self._sequences
        statement = "INSERT INTO messages VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"

        def write() -> None:
            row = (key, next(sequences), next(ids), TYPE, CONTEXT, student, None, clock.now(), CONTENT)
            connection.execute(statement, row)
            connection.commit()

        return write


def _newest(room: Classrooms) -> range:
    return range(room.sessions)[-100:]


def _ids() -> Iterator[str]:
    """Identifiers whose making does not count."""
    return chain([new_id() for _ in range(2000)], iter(new_id, None))
