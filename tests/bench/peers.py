"""Who writes: the service's managers, bare SQLite running the same statements, and the peers.

Every writer does the same work on a file of its own: a message is stored once its session is found to be active, under
the next number of its session. Bare SQLite's ids and times are made before the clock starts: it is the bar. It is
measured a second time with ids and times made inside, as everybody else makes them.
"""

import asyncio
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain, cycle, islice
from typing import Any

import msgspec
from peewee import JOIN, SQL, SqliteDatabase, fn
from playhouse.sqliteq import SqliteQueueDatabase

from shared import clock
from shared.entities import ACTIVE, MessageDraft, Session
from shared.identifiers import new_id
from shared.messages import MessageManager
from shared.models import MessageRow, SessionRow
from shared.sessions import SessionManager
from tests.bench.databases import CONTENT, CONTEXT, TYPE, Classrooms, open_ours, open_raw, pragmas, statements
from tests.bench.harness import Call, Sample, crowd

_IDS_A_SECOND = 40_000  # as many as one caller uses
_MOST_IDS = 25_000


class Writes(ABC):
    """A way to write, open on one database."""

    name = ""
    each = 1  # writes in one call

    def __init__(self, classrooms: Classrooms, synchronous: str) -> None:
        self._classrooms = classrooms
        self._synchronous = synchronous

    @abstractmethod
    def caller(self, number: int) -> Call:
        """What a caller does again and again."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def prepare(self, callers: int, seconds: float, first: int = 0) -> list[Call]:
        """Callers that are ready to write for so long; they are numbered from `first`."""
        calls = [self.caller(first + number) for number in range(callers)]
        calls[0]()  # opens connections, builds statements
        return calls

    def measure(self, callers: int, seconds: float) -> Sample:
        """Let so many callers write at once."""
        sample = crowd(self.prepare(callers, seconds), seconds)
        sample.rate *= self.each
        return sample

    def _targets(self, number: int) -> Iterator[tuple[str, str]]:
        """Session and student for one write after the other; callers begin at different sessions."""
        room = self._classrooms
        pairs = [(room.ids[place], room.students(place)[number % 30]) for place in range(room.sessions)]
        return cycle(pairs[number % room.sessions :] + pairs[: number % room.sessions])


# --- the service


class OursStore(Writes):
    """`DatabaseManager.store_message`."""

    name = "ours"

    def __init__(self, classrooms: Classrooms, synchronous: str) -> None:
        super().__init__(classrooms, synchronous)
        self._database = open_ours(classrooms.path, synchronous)

    def caller(self, number: int) -> Call:
        """Store a message."""
        store, drafts = self._database.store_message, map(_draft, self._targets(number))
        return lambda: store(next(drafts))

    def close(self) -> None:
        """Close the database manager."""
        self._database.close()


class OursManagedStore(OursStore):
    """`MessageManager.store_message`, with its rules and the roster."""

    name = "ours, manager"

    def __init__(self, classrooms: Classrooms, synchronous: str) -> None:
        super().__init__(classrooms, synchronous)
        sessions = SessionManager(self._database)
        sessions.load_active_sessions()
        self._messages = MessageManager(self._database, sessions)

    def caller(self, number: int) -> Call:
        """Store a message from a student."""
        messages, drafts = self._messages, map(_draft, self._targets(number))
        return lambda: messages.store_message(next(drafts), "student")


class OursCreate(OursStore):
    """`DatabaseManager.create_session`."""

    name = "ours, create"

    def caller(self, number: int) -> Call:
        """Create a session for a class."""
        create, students = self._database.create_session, tuple(self._classrooms.students(number))
        return lambda: create(Session(new_id(), "Algebra", "ms_noether", students, clock.now()))


class OursManagedCreate(OursStore):
    """`SessionManager.create_session`, with everything that a create needs."""

    name = "ours, create, manager"

    def __init__(self, classrooms: Classrooms, synchronous: str) -> None:
        super().__init__(classrooms, synchronous)
        self._sessions = SessionManager(self._database)

    def caller(self, number: int) -> Call:
        """Create a session for a class."""
        create, students = self._sessions.create_session, self._classrooms.students(number)
        return lambda: create("Algebra", "ms_noether", students)


# --- bare SQLite


class RawStore(Writes):
    """`sqlite3`, one transaction a message; callers take turns on one connection, behind a lock."""

    name = "sqlite3"

    def __init__(self, classrooms: Classrooms, synchronous: str) -> None:
        super().__init__(classrooms, synchronous)
        self._connection = open_raw(classrooms.path, synchronous)
        self._lock = threading.Lock()
        self._sql = statements(classrooms.path)
        self._now = clock.now()

    def prepare(self, callers: int, seconds: float, first: int = 0) -> list[Call]:
        """Make the ids before the clock starts."""
        made = [new_id() for _ in range(min(_MOST_IDS, 100 + int(_IDS_A_SECOND * seconds)))]
        self._ids: Iterator[str] = chain(made, iter(new_id, None))
        return super().prepare(callers, seconds, first)

    def caller(self, number: int) -> Call:
        """Store a message."""
        targets = self._targets(number)
        connection, lock = self._connection, self._lock

        def write() -> None:
            with lock:
                connection.execute("BEGIN IMMEDIATE")
                self._store(connection, next(targets))
                connection.execute("COMMIT")

        return write

    def _store(self, connection: sqlite3.Connection, target: tuple[str, str]) -> None:
        session_id, student = target
        found = connection.execute(self._sql.session_and_last_message, (session_id,)).fetchall()
        status, _start, sequence, *_rest = found[0]
        assert status == ACTIVE
        row = (session_id, (sequence or 0) + 1, next(self._ids), TYPE, CONTEXT, student, None, self._now, CONTENT)
        connection.execute(self._sql.insert_message, row)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class RawStoreAndIds(RawStore):
    """`RawStore` with ids and times made inside the measurement."""

    name = "sqlite3, ids inside"

    def prepare(self, callers: int, seconds: float, first: int = 0) -> list[Call]:
        """Make no id beforehand."""
        return Writes.prepare(self, callers, seconds, first)

    def _store(self, connection: sqlite3.Connection, target: tuple[str, str]) -> None:
        self._ids, self._now = iter((new_id(),)), clock.now()
        super()._store(connection, target)


class RawBatches(RawStore):
    """`sqlite3` with a hundred messages in each transaction: the limit."""

    name = "sqlite3, batches of 100"
    each = 100

    def caller(self, number: int) -> Call:
        """Store a hundred messages."""
        targets = self._targets(number)
        connection, lock = self._connection, self._lock

        def write() -> None:
            with lock:
                connection.execute("BEGIN IMMEDIATE")
                for target in islice(targets, self.each):
                    self._store(connection, target)
                connection.execute("COMMIT")

        return write


class RawCreate(RawStore):
    """`sqlite3`, one transaction a session."""

    name = "sqlite3, create"

    def caller(self, number: int) -> Call:
        """Create a session for a class."""
        students = msgspec.json.encode(self._classrooms.students(number)).decode()
        connection, lock, sql, now = self._connection, self._lock, self._sql, self._now

        def write() -> None:
            session_id = next(self._ids)
            with lock:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(sql.insert_session, (session_id, "Algebra", "ms_noether", now, students))
                connection.execute(sql.insert_enrollments, (now, session_id, students))
                connection.execute(sql.shift_count, (1,))
                connection.execute("COMMIT")

        return write


class RawImmediate(RawStore):
    """`sqlite3`, a connection each, BEGIN IMMEDIATE with a busy time-out: what SQLite itself offers to many writers."""

    name = "BEGIN IMMEDIATE"

    def __init__(self, classrooms: Classrooms, synchronous: str) -> None:
        super().__init__(classrooms, synchronous)
        self._opened: list[sqlite3.Connection] = []

    def caller(self, number: int) -> Call:
        """Store a message."""
        targets = self._targets(number)
        connection = open_raw(self._classrooms.path, self._synchronous)
        self._opened.append(connection)

        def write() -> None:
            connection.execute("BEGIN IMMEDIATE")
            self._store(connection, next(targets))
            connection.execute("COMMIT")

        return write

    def close(self) -> None:
        """Close all connections."""
        for connection in self._opened:
            connection.close()
        super().close()


# --- peers


class NaivePeewee(Writes):
    """peewee's models, `atomic()` for each write, a connection a thread, a busy time-out."""

    name = "naive peewee"

    def __init__(self, classrooms: Classrooms, synchronous: str) -> None:
        super().__init__(classrooms, synchronous)
        self._database = _KeptConnections(str(classrooms.path), pragmas=pragmas(synchronous), check_same_thread=False)

    def caller(self, number: int) -> Call:
        """Store a message; the transaction is an immediate one, or most of these would fail at once."""
        database, targets = self._database, self._targets(number)

        def write() -> None:
            session_id, student = next(targets)
            with database.atomic("IMMEDIATE"):
                found = (
                    SessionRow.select(SessionRow.status, MessageRow.sequence, MessageRow.timestamp)
                    .join(MessageRow, JOIN.LEFT_OUTER, on=(MessageRow.session_id == SessionRow.id))
                    .where(SessionRow.id == session_id)
                    .order_by(MessageRow.sequence.desc())
                    .limit(1)
                    .tuples()
                    .execute(database)
                )
                status, sequence, _timestamp = found[0]
                assert status == ACTIVE
                MessageRow.insert(_message(session_id, student, (sequence or 0) + 1)).execute(database)

        return write

    def close(self) -> None:
        """Close every thread's connection."""
        for connection in self._database.opened:
            connection.close()


class _KeptConnections(SqliteDatabase):
    """Remembers the threads' connections, so that they can be closed."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.opened: list[sqlite3.Connection] = []

    def _connect(self) -> sqlite3.Connection:
        connection: sqlite3.Connection = super()._connect()  # type: ignore[misc]
        self.opened.append(connection)
        return connection


class PeeweeQueue(Writes):
    """peewee's `SqliteQueueDatabase`, its writer in a thread.

    It knows no transactions, so the session's check, the message's number and the insert are one statement.
    """

    name = "SqliteQueueDatabase"

    def __init__(self, classrooms: Classrooms, synchronous: str) -> None:
        super().__init__(classrooms, synchronous)
        self._database = SqliteQueueDatabase(str(classrooms.path), use_gevent=False, pragmas=pragmas(synchronous))

    def caller(self, number: int) -> Call:
        """Store a message and wait until it is written."""
        database, targets = self._database, self._targets(number)
        last = fn.MAX(MessageRow.sequence)

        def write() -> None:
            session_id, student = next(targets)
            sequence = fn.COALESCE(MessageRow.select(last).where(MessageRow.session_id == session_id), 0)
            row = _message(session_id, student, sequence + 1)
            values = SessionRow.select(*(_value(value) for value in row.values()))
            values = values.where((SessionRow.id == session_id) & (SessionRow.status == ACTIVE))
            written = MessageRow.insert_from(values, list(row)).as_rowcount().execute(database)
            assert written == 1

        return write

    def close(self) -> None:
        """Stop the writer thread."""
        self._database.stop()
        self._database.close()


class DatasetteQueue(Writes):
    """Datasette's write queue: `Database.execute_write_fn(…, block=True)` with the service's own statements.

    Its callers are coroutines, as in Datasette itself, on one event loop; its writer is a thread.
    """

    name = "Datasette"

    def __init__(self, classrooms: Classrooms, synchronous: str) -> None:
        from datasette.app import Datasette  # type: ignore[import-not-found,import-untyped,unused-ignore]

        super().__init__(classrooms, synchronous)
        self._sql = statements(classrooms.path)
        self._database: Any = Datasette([str(classrooms.path)]).get_database(classrooms.path.stem)

    def caller(self, number: int) -> Call:
        """Make the coroutine of a write."""
        targets, sql = self._targets(number), self._sql

        def store(connection: sqlite3.Connection) -> None:
            session_id, student = next(targets)
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                found = connection.execute(sql.session_and_last_message, (session_id,)).fetchall()
                status, _start, sequence, *_rest = found[0]
                assert status == ACTIVE
                row = tuple(_message(session_id, student, (sequence or 0) + 1).values())
                connection.execute(sql.insert_message, row)

        return lambda: self._database.execute_write_fn(store)

    def measure(self, callers: int, seconds: float) -> Sample:
        """Let so many coroutines write at once."""
        return asyncio.run(self._measure(callers, seconds))

    async def _measure(self, callers: int, seconds: float) -> Sample:
        await self._database.execute_write_fn(self._set_pragmas)
        calls = [self.caller(number) for number in range(callers)]
        await calls[0]()  # type: ignore[misc]
        samples = [Sample() for _ in calls]
        start = time.perf_counter()
        await asyncio.gather(
            *(_repeat(call, start, seconds, sample) for call, sample in zip(calls, samples, strict=True))
        )
        for sample in samples[1:]:
            samples[0].add(sample)
        return samples[0]

    def _set_pragmas(self, connection: sqlite3.Connection) -> None:
        for name, value in pragmas(self._synchronous).items():
            connection.execute(f"PRAGMA {name} = {value}")

    def close(self) -> None:
        """End the writer thread, which has no end of its own, and close its connection."""

        def end(_connection: sqlite3.Connection) -> None:
            raise SystemExit

        asyncio.run(self._database.execute_write_fn(end, block=False))
        self._database._write_thread.join()
        self._database.close()


async def _repeat(call: Any, start: float, seconds: float, sample: Sample) -> None:
    """`harness.repeat` for a coroutine."""
    read = time.perf_counter
    after = read()
    while True:
        before = after
        await call()
        after = read()
        sample.latencies.append(after - before)
        if after >= start + seconds:
            break
    sample.rate = len(sample.latencies) / (after - start)


def _draft(target: tuple[str, str]) -> MessageDraft:
    session_id, student = target
    return MessageDraft(session_id, TYPE, CONTEXT, student, None, msgspec.Raw(CONTENT.encode()))


def _message(session_id: str, student: str, sequence: Any) -> dict[str, Any]:
    """A message's row, in the order of its columns."""
    return {
        "session_id": session_id,
        "sequence": sequence,
        "id": new_id(),
        "type": TYPE,
        "context": CONTEXT,
        "from_user": student,
        "to_user": None,
        "timestamp": clock.now(),
        "content": CONTENT,
    }


def _value(value: Any) -> Any:
    return value if not isinstance(value, str | None) else SQL("?", [value])


STORES: tuple[type[Writes], ...] = (OursStore, OursManagedStore, RawStore)
PEERS: tuple[type[Writes], ...] = (NaivePeewee, PeeweeQueue, DatasetteQueue)
CREATES: tuple[type[Writes], ...] = (OursCreate, OursManagedCreate, RawCreate)


def installed(peers: tuple[type[Writes], ...] = PEERS) -> tuple[type[Writes], ...]:
    """Those peers whose packages are there."""
    return tuple(peer for peer in peers if peer is not DatasetteQueue or find_spec("datasette"))
