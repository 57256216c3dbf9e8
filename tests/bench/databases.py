"""Database files to measure on: classrooms, sessions and messages in any number, made once and kept.

Sessions come in groups: those of a group share their instructor and their class. Groups take turns in time, so that a
group's sessions lie far apart in a large database, as they would.
"""

import hashlib
import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apsw
import msgspec

from shared import clock
from shared.config import Settings, variable
from shared.database import DatabaseManager, open_database
from shared.engines import open_engine
from shared.writes.sqlite import SqliteStatements

CLASS_SIZE = 30
GROUP = 100  # sessions of one instructor with one class
CONTENT = '{"text":"' + "I did not follow how the second step came about; could we see it again? " * 2 + '","page":12}'
TYPE, CONTEXT = "instructor_inbox", "general"

_BEGINNING = datetime(2026, 1, 5, 8, tzinfo=UTC)
_LAYOUT = "1"  # to be changed with what is written here
_AT_ONCE = 10_000  # rows


@dataclass(frozen=True)
class Classrooms:
    """A database file with this many sessions, the first of which have this many messages each."""

    path: Path
    sessions: int
    messages: int = 0  # of each session that has any
    with_messages: int = 0  # sessions

    @property
    def groups(self) -> int:
        """How many groups the sessions come in."""
        return max(1, self.sessions // GROUP)

    @cached_property
    def ids(self) -> list[str]:
        """The sessions' ids, oldest first."""
        return [_id("session", number, self.start(number)) for number in range(self.sessions)]

    def start(self, number: int) -> datetime:
        """When a session started."""
        return _BEGINNING + timedelta(seconds=number, microseconds=number % 1000)

    def students(self, number: int) -> list[str]:
        """A session's roster."""
        return [f"student_{number % self.groups}_{place}" for place in range(CLASS_SIZE)]

    def instructor(self, number: int) -> str:
        """Who gives a session."""
        return f"instructor_{number % self.groups}"


def classrooms(folder: Path, sessions: int, messages: int = 0, with_messages: int = 0) -> Classrooms:
    """The database of that size in the folder; made when it is not there for the present schema."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as scratch:
        empty = Path(scratch) / "new.db"
        open_database(settings(empty)).close()
        name = f"{sessions}-sessions-{with_messages}x{messages}-messages-{_fingerprint(empty)}.db"
        made = Classrooms(folder / name, sessions, messages, with_messages)
        if not made.path.exists():
            _fill(Classrooms(empty, sessions, messages, with_messages))
            _flush(empty.rename(made.path))
    _read_through(made.path)
    return made


@contextmanager
def scratch_copy(original: Classrooms, folder: Path) -> Iterator[Classrooms]:
    """A copy to write to, gone afterwards."""
    with TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / "copy.db"
        shutil.copyfile(original.path, path)
        _flush(path)
        yield Classrooms(path, original.sessions, original.messages, original.with_messages)


def settings(path: Path, synchronous: str = "NORMAL") -> Settings:
    """The service's default settings on this file."""
    values = {variable("database_url"): f"sqlite:///{path}", variable("synchronous"): synchronous}
    return Settings.from_environment(values)


def open_ours(path: Path, synchronous: str = "NORMAL") -> DatabaseManager:
    """The service's database manager on this file."""
    return open_database(settings(path, synchronous))


def statements(path: Path) -> SqliteStatements:
    """The service's own SQL text."""
    return SqliteStatements(open_engine(settings(path)).dialect)


def pragmas(synchronous: str = "NORMAL") -> dict[str, Any]:
    """What the service sets on its connections, for everybody else's."""
    return {
        "journal_mode": "wal",
        "synchronous": synchronous,
        "cache_size": -64000,
        "temp_store": "MEMORY",
        "foreign_keys": "ON",
        "busy_timeout": settings(Path("any")).busy_timeout_ms,
    }


def open_raw(path: Path, synchronous: str = "NORMAL") -> sqlite3.Connection:
    """The standard library's connection with the same pragmas, transactions left to the caller."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for name, value in pragmas(synchronous).items():
        connection.execute(f"PRAGMA {name} = {value}")
    return connection


def open_apsw(path: Path, synchronous: str = "NORMAL") -> apsw.Connection:
    """The service's driver, bare, with the same pragmas."""
    connection = apsw.Connection(str(path))
    for name, value in pragmas(synchronous).items():
        connection.execute(f"PRAGMA {name} = {value}")
    return connection


def _flush(path: Path) -> None:
    """Write the file out now: what the system still has to write would slow down what is measured."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _read_through(path: Path) -> None:
    """Have the system keep the file in memory, so that nobody is the first who reads a page from the disk."""
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


def _fingerprint(path: Path) -> str:
    """Of the schema and of what is written into it."""
    with closing(sqlite3.connect(path)) as connection:
        schema = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    return hashlib.sha256(repr((schema, _LAYOUT, CONTENT, CLASS_SIZE, GROUP)).encode()).hexdigest()[:8]


def _fill(new: Classrooms) -> None:
    sql = statements(new.path)
    with closing(sqlite3.connect(new.path, isolation_level=None)) as connection:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        in_groups = sorted(range(new.sessions), key=lambda number: number % new.groups)
        for first in range(0, new.sessions, _AT_ONCE):
            _insert_sessions(connection, sql, new, in_groups[first : first + _AT_ONCE])
        for number in range(new.with_messages):
            connection.executemany(sql.insert_message, _message_rows(new, number))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")


def _insert_sessions(
    connection: sqlite3.Connection, sql: SqliteStatements, new: Classrooms, numbers: list[int]
) -> None:
    rows = []
    for number in numbers:
        students = msgspec.json.encode(new.students(number)).decode()
        session_id, start = new.ids[number], clock.render(new.start(number))
        rows.append((session_id, f"Lesson {number}", new.instructor(number), start, students))
    connection.executemany(sql.insert_session, rows)
    connection.executemany(sql.insert_enrollments, [(start, key, who) for key, _name, _by, start, who in rows])
    connection.execute(sql.shift_count, (len(rows),))


def _message_rows(new: Classrooms, number: int) -> Iterator[tuple[Any, ...]]:
    session_id, students = new.ids[number], new.students(number)
    for place in range(new.messages):
        moment = new.start(number) + timedelta(seconds=place)
        message_id = _id(session_id, place, moment)
        sender = students[place % CLASS_SIZE]
        yield session_id, place + 1, message_id, TYPE, CONTEXT, sender, None, clock.render(moment), CONTENT


def _id(kind: str, number: int, moment: datetime) -> str:
    """A UUID of version 7 in form and order, the same in every run."""
    digits = f"{int(moment.timestamp() * 1000):012x}7{random.Random(f'{kind} {number}').getrandbits(76):019x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-8{digits[17:20]}-{digits[20:]}"
