"""PostgreSQL: reads, values, connections, what goes over the wire, and what the server's errors mean."""

import gc
import itertools
import socket
import struct
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import psycopg
import pytest
from msgspec import Raw
from msgspec.structs import replace
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Trace

from shared import clock, errors
from shared.config import Settings
from shared.database import DatabaseManager, open_database
from shared.engines import Connection, Row
from shared.engines.postgresql.engine import PostgresqlEngine
from shared.entities import FoundSessions, IdempotencyKey, MessageDraft, Session, SessionFilter
from shared.migrations import schema
from shared.sessions import SessionManager
from shared.writer import Writer
from tests.conftest import at_once
from tests.storage import Storage
from tests.unit.gates import WAIT, held, until

MOST = 8  # connections of one process
ROWS = "SELECT number FROM generate_series(1, 100000) AS number"


@pytest.fixture
def engine(postgres: Storage, settings: Settings) -> Iterator[PostgresqlEngine]:
    """An engine on a migrated database."""
    engine = PostgresqlEngine(settings)
    schema.ensure(engine)
    yield engine
    engine.close()


def backends(storage: Storage) -> list[int]:
    """The server's processes for the service, in this database."""
    statement = (
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'switchboard-sessions'"
    )
    with psycopg.connect(storage.url, autocommit=True) as administrator:
        return [pid for (pid,) in administrator.execute(statement).fetchall()]


@contextmanager
def wire(engine: PostgresqlEngine, path: Path) -> Iterator[list[str]]:
    """What goes over the engine's one connection meanwhile: "F…" for a message from here, "B…" for one back."""
    ((pid,),) = engine.fetch("SELECT pg_backend_pid()")
    connections = [each for each in gc.get_objects() if issubclass(type(each), psycopg.Connection) and not each.closed]
    (connection,) = (each for each in connections if each.info.backend_pid == pid)
    messages: list[str] = []
    with path.open("w+") as file:
        connection.pgconn.trace(file.fileno())
        connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        yield messages
        connection.pgconn.untrace()
        file.seek(0)
        messages += [line for line in file.read().splitlines() if line.startswith(("F\t", "B\t"))]


def round_trips(messages: list[str]) -> int:
    """How often something was sent and waited for."""
    return sum(line[0] == "F" and following[0] == "B" for line, following in itertools.pairwise(messages))


def executed(messages: list[str]) -> int:
    """How many statements were executed."""
    return sum(line.split("\t")[2] in ("Execute", "Query") for line in messages if line[0] == "F")


def draft(session: Session, text: str = "hello") -> MessageDraft:
    """Something that an instructor says to all."""
    content = Raw(f'{{"text":"{text}"}}'.encode())
    return MessageDraft(session.id, "instructor_broadcast", "general", "ms_noether", None, content)


# --- reads


def test_a_fetch_gives_every_row(engine: PostgresqlEngine) -> None:
    assert engine.fetch(ROWS + " WHERE number <= %s", (1000,)) == [(number,) for number in range(1, 1001)]


@pytest.mark.parametrize("rows", [0, 1, 255, 256, 257, 5000])
def test_a_walk_gives_every_row(engine: PostgresqlEngine, rows: int) -> None:
    expected = [(number,) for number in range(1, rows + 1)]
    assert engine.walk(ROWS + " WHERE number <= %s", (rows,), lambda found: list(found)) == expected


def test_a_walk_that_stops_early_leaves_its_connection_as_it_was(postgres: Storage, engine: PostgresqlEngine) -> None:
    pids = {engine.fetch("SELECT pg_backend_pid()")[0]}

    def first_of(rows: Iterator[Row]) -> Row:
        for _ in range(stop):
            row = next(rows)
        return row

    for stop in (1, 255, 256, 257, 1000):
        assert engine.walk(ROWS, (), first_of) == (stop,)
        pids |= {engine.fetch("SELECT pg_backend_pid()")[0]}
        assert engine.fetch("SELECT 'as before'") == [("as before",)]
    assert len(pids) == len(backends(postgres)) == 1


def test_a_walk_that_stops_early_has_the_server_stop(engine: PostgresqlEngine, tmp_path: Path) -> None:
    with wire(engine, tmp_path / "trace") as messages:
        engine.walk(ROWS, (), next)
    assert sum("DataRow" in line for line in messages) < 50_000


def test_a_walk_that_read_what_it_needed_cancels_nothing(engine: PostgresqlEngine, tmp_path: Path) -> None:
    with wire(engine, tmp_path / "trace") as messages:
        page = engine.walk(ROWS + " LIMIT 11", (), lambda rows: [next(rows) for _ in range(11)])
    assert len(page) == 11
    assert round_trips(messages) == 1
    assert not [line for line in messages if "ErrorResponse" in line]


def test_what_a_reader_raises_comes_out_and_does_no_harm(postgres: Storage, engine: PostgresqlEngine) -> None:
    def walk(rows: Iterator[Row]) -> None:
        next(rows)
        raise errors.UnauthorizedError

    def snapshot(connection: Connection) -> None:
        connection.execute("SELECT 1")
        raise errors.UnauthorizedError

    with pytest.raises(errors.UnauthorizedError):
        engine.walk(ROWS, (), walk)
    with pytest.raises(errors.UnauthorizedError):
        engine.snapshot(snapshot)
    assert engine.fetch("SELECT 1") == [(1,)]
    assert postgres.run("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'") == [(0,)]


def test_a_snapshot_sees_one_state(postgres: Storage, engine: PostgresqlEngine) -> None:
    def read(connection: Connection) -> tuple[list[Row], list[Row]]:
        before = connection.execute("SELECT count(*) FROM session_counts").fetchall()
        postgres.run("INSERT INTO session_counts VALUES (99, 0, 0)")
        return before, connection.execute("SELECT count(*) FROM session_counts").fetchall()

    assert engine.snapshot(read) == ([(0,)], [(0,)])
    assert engine.fetch("SELECT count(*) FROM session_counts") == [(1,)]


def test_a_snapshot_cannot_write(engine: PostgresqlEngine) -> None:
    setting = "SHOW transaction_read_only"
    assert engine.snapshot(lambda connection: connection.execute(setting).fetchall()) == [("on",)]


def test_a_read_that_lost_its_connection_is_made_again(postgres: Storage, engine: PostgresqlEngine) -> None:
    tried: list[int] = []

    def read(connection: Connection) -> list[Row]:
        rows = connection.execute("SELECT pg_backend_pid()").fetchall()
        tried.append(rows[0][0])
        if len(tried) == 1:
            postgres.run(f"SELECT pg_terminate_backend({tried[0]}, 5000)")
        return connection.execute("SELECT 'there'").fetchall()

    assert engine.snapshot(read) == [("there",)]
    assert len(set(tried)) == 2


# --- values


@pytest.mark.parametrize("settings_of_the_server", [("UTC", "ISO, MDY"), ("Pacific/Chatham", "SQL, DMY")])
@pytest.mark.parametrize(
    "moment",
    [
        "1970-01-01T00:00:00.000000Z",
        "1969-12-31T23:59:59.999999Z",
        "1999-12-31T23:59:59.999999Z",
        "2000-01-01T00:00:00.000000Z",
        "2026-11-22T07:24:11.000001Z",
        "2026-11-22T07:24:11.100000Z",
        "2026-02-03T04:05:06.000000Z",
        "9999-12-31T23:59:59.999999Z",
    ],
)
def test_moments_are_as_the_service_writes_them(
    postgres: Storage, settings: Settings, settings_of_the_server: tuple[str, str], moment: str
) -> None:
    timezone, date_style = settings_of_the_server
    name = urlsplit(postgres.url).path[1:]
    postgres.run(f"ALTER DATABASE {name} SET timezone = '{timezone}'")
    postgres.run(f"ALTER DATABASE {name} SET datestyle = '{date_style}'")
    try:
        with closing(open_database(settings)) as database:
            assert database._engine.fetch("SHOW timezone") == [(timezone,)]
            made = Session(str(uuid.uuid4()), "Maths", "ms_noether", ("ann",), moment)
            database.create_session(made)
            assert database.get_session(made.id) == made
            assert database.list_sessions(SessionFilter(), None, 1) == FoundSessions([made], False, 1)
            assert database.list_sessions(SessionFilter(), (moment, made.id), 1) == FoundSessions([], False, 1)
            ended = database.update_session(made.id)
            assert ended == database.get_session(made.id)
            assert ended.end_time is not None
            assert clock.is_rendered(ended.end_time)
            assert ended.end_time >= moment
    finally:
        postgres.run(f"ALTER DATABASE {name} RESET ALL")
        postgres.changed = False


def test_a_message_s_moment_is_the_later_one_to_the_microsecond(postgres: Storage, manager: DatabaseManager) -> None:
    later = "2999-01-01T00:00:00.000001Z"
    session = manager.create_session(Session(str(uuid.uuid4()), "Maths", "ms_noether", ("ann",), later))
    stored = [manager.store_message(draft(session)) for _ in range(2)]
    assert [message.timestamp for message in stored] == [later, later]
    assert manager.get_session_history(session.id).messages == stored


def test_identifiers_and_texts_come_back_as_they_were(postgres: Storage, manager: DatabaseManager) -> None:
    name = "%s %(x)s ' \\ \" $1 \U0001f469\u200d\U0001f3eb"
    made = Session("00000000-0000-4000-8000-0000000000ff", name, "ms_noether", ("ann", "bob"), clock.now())
    manager.create_session(made)
    assert manager.get_session(made.id) == made
    stored = manager.store_message(draft(made, text="\\u0000 %s \u00e9"))
    assert manager.get_session_history(made.id).messages == [stored]
    assert bytes(stored.content) == b'{"text":"\\u0000 %s \xc3\xa9"}'


# --- connections


def test_calls_one_after_the_other_share_a_connection(postgres: Storage, manager: DatabaseManager) -> None:
    session = manager.create_session(Session(str(uuid.uuid4()), "Maths", "ms_noether", ("ann",), clock.now()))
    pids = set(backends(postgres))
    for number in range(10):
        manager.store_message(draft(session), key=IdempotencyKey("store", str(number), "same"))
        manager.store_message(draft(session))
        manager.get_session_history(session.id, limit=3)
        manager.list_sessions(SessionFilter(), None, 3)
        manager.get_status(session.id)
        pids.update(backends(postgres))
    manager.update_session(session.id)
    with pytest.raises(errors.SessionAlreadyEndedError):
        manager.update_session(session.id)
    assert {*pids, *backends(postgres)} == set(backends(postgres))
    assert len(pids) == 1


def test_a_process_has_few_connections(postgres: Storage, engine: PostgresqlEngine) -> None:
    at_once(30, lambda _: engine.fetch("SELECT pg_sleep(0.01)"))
    assert 1 < len(backends(postgres)) <= MOST


def test_who_finds_no_connection_free_is_told_at_the_deadline(postgres: Storage, engine: PostgresqlEngine) -> None:
    def nest(depth: int) -> float:
        if depth == MOST:
            before = clock.elapsed()
            with pytest.raises(errors.DatabaseBusyError):
                engine.begin(before + 0.1)
            return clock.elapsed() - before
        return engine.snapshot(lambda _connection: nest(depth + 1))

    assert 0.1 <= nest(0) < 1
    assert engine.fetch("SELECT 1") == [(1,)]


def test_a_connection_that_the_server_ended_is_not_used_again(postgres: Storage, engine: PostgresqlEngine) -> None:
    ((pid,),) = engine.fetch("SELECT pg_backend_pid()")
    postgres.run(f"SELECT pg_terminate_backend({pid}, 5000)")
    connection = engine.begin(clock.elapsed() + WAIT)
    assert connection.execute("SELECT 'there'").fetchall() == [("there",)]
    engine.rollback()
    engine.release()


def test_closed_is_closed(postgres: Storage, engine: PostgresqlEngine) -> None:
    engine.fetch("SELECT 1")
    engine.close()
    engine.close()
    until(lambda: backends(postgres) == [])
    for use in (
        lambda: engine.fetch("SELECT 1"),
        lambda: engine.walk("SELECT 1", (), list),
        lambda: engine.snapshot(lambda connection: None),
        lambda: engine.begin(clock.elapsed() + 1),
    ):
        with pytest.raises(errors.DatabaseClosedError):
            use()


def test_what_is_in_use_at_the_close_is_closed_afterwards(
    postgres: Storage, engine: PostgresqlEngine, threads: ThreadPoolExecutor
) -> None:
    entered, go = threading.Event(), threading.Event()

    def read(connection: Connection) -> list[Row]:
        entered.set()
        go.wait(WAIT)
        return connection.execute("SELECT 'to the end'").fetchall()

    reading = threads.submit(engine.snapshot, read)
    entered.wait(WAIT)
    engine.close()
    go.set()
    assert reading.result(WAIT) == [("to the end",)]
    until(lambda: backends(postgres) == [])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": "wrong", "host": "127.0.0.1"}, "refuses the user or the password"),
        ({"user": "nobody_known"}, "does not know the user"),
        ({"dbname": "no_such_database"}, "does not have the database"),
        ({"port": "1"}, "no server of SWITCHBOARD_DATABASE_URL can be reached"),
    ],
)
def test_why_no_connection_came_about_is_told_without_the_url(
    postgres: Storage, settings: Settings, changes: dict[str, str], words: str
) -> None:
    query = "&".join(f"{key}={value}" for key, value in (conninfo_to_dict(postgres.url) | changes).items())
    lost = PostgresqlEngine(replace(settings, database_url=f"postgresql://?{query}", busy_timeout_ms=500))
    with closing(lost), pytest.raises(errors.DatabaseUnavailableError, match=words) as refusal:
        lost.fetch("SELECT 1")
    assert not [value for value in changes.values() if value in str(refusal.value)]


def test_a_url_that_cannot_be_read_is_refused_by_its_setting() -> None:
    with pytest.raises(errors.ConfigurationError, match="SWITCHBOARD_DATABASE_URL") as refusal:
        PostgresqlEngine(Settings(database_url="postgresql://ann:secret@host/db?colour=red"))
    assert "secret" not in str(refusal.value)


# --- a pooler


class Pooler:
    """Passes everything on, and announces a process id of its own, as poolers do."""

    def __init__(self, storage: Storage) -> None:
        given = conninfo_to_dict(storage.url)
        self._host, self._port = str(given["host"]), int(str(given["port"]))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listening]
        port = self._listening.getsockname()[1]
        self.url = f"postgresql://{given['user']}@127.0.0.1:{port}/{given['dbname']}?sslmode=disable&gssencmode=disable"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End every connection."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(f"{self._host}/.s.PGSQL.{self._port}")
                self._sockets += [client, server]
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while some := source.recv(65536):
                target.sendall(some)
            target.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError, struct.error):
            kind = b""
            while kind != b"Z":
                kind, length = struct.unpack("!cI", server.recv(5, socket.MSG_WAITALL))
                body = server.recv(length - 4, socket.MSG_WAITALL)
                if kind == b"K":
                    body = struct.pack("!I", struct.unpack("!I", body[:4])[0] + 1) + body[4:]
                client.sendall(struct.pack("!cI", kind, length) + body)
            self._pass_on(server, client)


@pytest.fixture
def pooler(postgres: Storage) -> Iterator[Pooler]:
    """A pooler before the test's database."""
    with closing(Pooler(postgres)) as pooler:
        yield pooler


def use(database: DatabaseManager) -> tuple[int, str]:
    """Every kind of call, several times; how many statements are prepared then, and the statements' time limit."""
    sessions = SessionManager(database)
    for _ in range(5):
        key = IdempotencyKey("create", str(uuid.uuid4()), "x")
        session = sessions.create_session("Maths", "ms_noether", ["ann"], key)
        database.store_message(draft(session))
        sessions.list_sessions(SessionFilter(), None, 10)
        database.get_session_history(session.id)
        sessions.end_session(session.id)
    ((prepared, limit),) = database._engine.fetch(
        "SELECT (SELECT count(*) FROM pg_prepared_statements), current_setting('statement_timeout')"
    )
    return prepared, limit


def test_statements_are_prepared_where_the_server_itself_answers(postgres: Storage, settings: Settings) -> None:
    with closing(open_database(replace(settings, write_timeout_seconds=17))) as database:
        prepared, limit = use(database)
    assert prepared > 5
    assert limit == "17s"


def test_nothing_is_kept_in_a_pooler_s_connection(settings: Settings, pooler: Pooler) -> None:
    with closing(open_database(replace(settings, database_url=pooler.url))) as database:
        assert use(database) == (0, "0")


def test_failures_leave_no_prepared_statements_behind(postgres: Storage, manager: DatabaseManager) -> None:
    use(manager)
    before, _ = use(manager)
    for number in range(50):
        key = IdempotencyKey("create", f"later {number}", "x")
        session = Session(str(uuid.uuid4()), "x" * 201, "ms_noether", ("ann",), clock.now())
        with pytest.raises(psycopg.errors.CheckViolation):
            manager.create_session(session, key)
    after, _ = use(manager)
    assert after <= before + 5


# --- what goes over the wire


def test_a_single_write_is_one_statement(postgres: Storage, manager: DatabaseManager, tmp_path: Path) -> None:
    engine = cast(PostgresqlEngine, manager._engine)
    session = manager.create_session(Session(str(uuid.uuid4()), "Maths", "ms_noether", ("ann",), clock.now()))
    for write in (
        lambda: manager.create_session(Session(str(uuid.uuid4()), "Maths", "ms_noether", ("ann",), clock.now())),
        lambda: manager.store_message(draft(session)),
        lambda: manager.update_session(session.id),
    ):
        with wire(engine, tmp_path / "trace") as messages:
            write()
        assert (executed(messages), round_trips(messages)) == (1, 1)
        assert not [line for line in messages if '"BEGIN' in line or '"COMMIT' in line]


def test_a_warm_health_check_takes_two_round_trips(postgres: Storage, manager: DatabaseManager, tmp_path: Path) -> None:
    engine = cast(PostgresqlEngine, manager._engine)
    manager.health_check()
    with wire(engine, tmp_path / "trace") as messages:
        manager.health_check()
    assert round_trips(messages) == 2


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE messages RENAME COLUMN content TO body",
        "DROP INDEX messages_id",
        "DROP INDEX messages_id; CREATE INDEX messages_id ON messages (session_id, id)",
        "DROP TABLE enrollments; CREATE TABLE enrollments (student_id text)",
    ],
)
def test_a_warm_health_check_notices_a_changed_table(postgres: Storage, manager: DatabaseManager, change: str) -> None:
    manager.health_check()
    for statement in change.split("; "):
        postgres.run(statement)
    with pytest.raises(errors.DatabaseSchemaError):
        manager.health_check()


def test_a_batch_is_one_transaction_and_one_round_trip(
    postgres: Storage, manager: DatabaseManager, threads: ThreadPoolExecutor, tmp_path: Path
) -> None:
    writer, engine = manager._writer, cast(PostgresqlEngine, manager._engine)
    rooms = [Session(str(uuid.uuid4()), "Maths", "ms_noether", ("ann",), clock.now()) for _ in range(3)]
    for room in rooms:
        manager.create_session(room)
    with wire(engine, tmp_path / "trace") as messages:
        go = held(writer, threads)
        stored = [threads.submit(manager.store_message, draft(room)) for room in rooms * 4]
        until(lambda: writer.stats()["queued"] == len(stored))
        go.set()
        assert len({future.result(WAIT).id for future in stored}) == len(stored)
        until(lambda: not writer._leading)
    assert executed(messages) == len(stored) + 2
    assert round_trips(messages) == 1
    assert postgres.run("SELECT count(*), count(DISTINCT xmin::text) FROM messages") == [(len(stored), 1)]


def test_a_keyed_write_is_one_transaction(postgres: Storage, manager: DatabaseManager) -> None:
    session = manager.create_session(Session(str(uuid.uuid4()), "Maths", "ms_noether", ("ann",), clock.now()))
    manager.store_message(draft(session), key=IdempotencyKey("store", "key", "x"))
    manager.store_message(draft(session))
    ((with_key, without), (kept,)) = (
        [xmin for (xmin,) in postgres.run(f"SELECT xmin::text FROM {rows}")]
        for rows in ("messages ORDER BY sequence", "idempotency_keys")
    )
    assert with_key == kept != without


def test_a_list_is_two_round_trips(postgres: Storage, manager: DatabaseManager, tmp_path: Path) -> None:
    manager.list_sessions(SessionFilter(), None, 10)
    with wire(cast(PostgresqlEngine, manager._engine), tmp_path / "trace") as messages:
        manager.list_sessions(SessionFilter(), None, 10)
    assert round_trips(messages) <= 2


# --- what the server's errors mean

TRANSIENT = {
    "40001": errors.DatabaseBusyError,  # serialization failure
    "40P01": errors.DatabaseBusyError,  # deadlock
    "40003": errors.DatabaseUnavailableError,  # the engine does not know what became of the statement
    "23505": errors.DatabaseBusyError,  # a key that somebody else just wrote
    "55P03": errors.DatabaseBusyError,  # a lock that somebody else holds
    "53300": errors.DatabaseBusyError,  # too many connections
    "57P01": errors.DatabaseUnavailableError,  # the server goes down
    "57P02": errors.DatabaseUnavailableError,
    "57P03": errors.DatabaseUnavailableError,  # or comes up
    "57P05": errors.DatabaseUnavailableError,  # idle for too long
    "25P03": errors.DatabaseUnavailableError,  # the same in a transaction, as after a container was frozen
    "25P04": errors.DatabaseUnavailableError,  # a transaction that took too long
    "26000": errors.DatabaseUnavailableError,  # a prepared statement is gone
    "0A000": errors.DatabaseUnavailableError,  # or outdated
    "08006": errors.DatabaseUnavailableError,
    "53200": errors.DatabaseUnavailableError,  # no memory
    "58030": errors.DatabaseUnavailableError,  # I/O error
    "XX000": errors.DatabaseUnavailableError,  # internal error
    "25006": errors.DatabaseReadOnlyError,  # a standby
}
LASTING = {
    "53100": errors.DatabaseFullError,
    "42501": errors.DatabaseReadOnlyError,  # no right to write
    "57014": errors.DatabaseBusyError,  # the time limit of statements
    "XX001": errors.DatabaseCorruptError,
    "XX002": errors.DatabaseCorruptError,
    "42P01": errors.DatabaseSchemaError,
    "42703": errors.DatabaseSchemaError,
    "3F000": errors.DatabaseSchemaError,
}


def raising(state: str) -> str:
    """A statement that fails like this."""
    return f"DO $$ BEGIN RAISE EXCEPTION 'a private word' USING ERRCODE = '{state}'; END $$"


def raised(storage: Storage, statement: str) -> psycopg.Error:
    """The driver's error for a statement that fails."""
    with pytest.raises(psycopg.Error) as told:
        storage.run(statement)
    return told.value


@pytest.mark.parametrize("state", TRANSIENT)
def test_what_another_attempt_may_mend(postgres: Storage, engine: PostgresqlEngine, state: str) -> None:
    failure = engine.failure(raised(postgres, raising(state)))
    assert failure is not None
    assert (type(failure), failure.transient) == (TRANSIENT[state], True)
    assert "private" not in str(failure)


@pytest.mark.parametrize("state", LASTING)
def test_what_no_attempt_mends(postgres: Storage, engine: PostgresqlEngine, state: str) -> None:
    failure = engine.failure(raised(postgres, raising(state)))
    assert failure is not None
    assert (type(failure), failure.transient) == (LASTING[state], False)
    assert "private" not in str(failure)


@pytest.mark.parametrize("state", ["23514", "23502", "22012", "22021", "42601"])
def test_what_is_no_matter_of_the_database_s_state(postgres: Storage, engine: PostgresqlEngine, state: str) -> None:
    assert engine.failure(raised(postgres, raising(state))) is None


@pytest.mark.parametrize(
    ("statement", "failure"),
    [
        ("SELECT * FROM no_such_table", errors.DatabaseSchemaError),
        ("SELECT no_such_column FROM sessions", errors.DatabaseSchemaError),
        ("INSERT INTO session_counts VALUES (1, 0, 0) ON CONFLICT (active) DO NOTHING", errors.DatabaseSchemaError),
        ("INSERT INTO session_counts VALUES (1, 0, 0), (1, 0, 0)", errors.DatabaseBusyError),
        ("SELECT pg_terminate_backend(pg_backend_pid())", errors.DatabaseUnavailableError),
        ("SET transaction_read_only = on; DELETE FROM sessions", errors.DatabaseReadOnlyError),
        ("SET statement_timeout = 1; SELECT pg_sleep(1)", errors.DatabaseBusyError),
        ("CREATE ROLE pupil; SET ROLE pupil; DELETE FROM sessions", errors.DatabaseReadOnlyError),
    ],
)
def test_real_errors(postgres: Storage, engine: PostgresqlEngine, statement: str, failure: type[Exception]) -> None:
    assert type(engine.failure(raised(postgres, statement))) is failure


def test_a_deadlock_and_a_lock_that_is_held(postgres: Storage, engine: PostgresqlEngine) -> None:
    postgres.run("INSERT INTO session_counts VALUES (1, 0, 0), (2, 0, 0)")
    update = "UPDATE session_counts SET active = 1 WHERE slot = %s"
    with psycopg.connect(postgres.url) as one, psycopg.connect(postgres.url) as other:
        one.execute(update, (1,))
        assert type(engine.failure(raised(postgres, "SELECT * FROM session_counts FOR UPDATE NOWAIT"))) is (
            errors.DatabaseBusyError
        )
        other.execute("SET deadlock_timeout = 10")
        other.execute(update, (2,))
        waiting = threading.Thread(target=one.execute, args=(update, (2,)))
        waiting.start()
        with pytest.raises(psycopg.errors.DeadlockDetected) as told:
            other.execute(update, (1,))
        other.rollback()
        waiting.join()
    failure = engine.failure(told.value)
    assert failure is not None
    assert (type(failure), failure.transient) == (errors.DatabaseBusyError, True)


def test_a_write_that_takes_too_long_is_undone(postgres: Storage, settings: Settings) -> None:
    with closing(open_database(replace(settings, write_timeout_seconds=0.2))) as database:
        before = clock.elapsed()
        with pytest.raises(errors.DatabaseError):
            database._writer.write(lambda connection, repeat: connection.execute("SELECT pg_sleep(60)").fetchall())
        assert clock.elapsed() - before < 30


def test_a_transaction_that_waits_for_a_frozen_container_is_ended_and_the_write_made_again(
    postgres: Storage, settings: Settings
) -> None:
    with closing(open_database(replace(settings, write_timeout_seconds=0.3))) as database:
        writer = Writer(database._engine, queue_size=9, busy_timeout=1, retry_delay=1, write_timeout=WAIT)
        attempts: list[bool] = []

        def write(connection: Connection, repeat: bool) -> str:
            attempts.append(repeat)
            connection.execute("INSERT INTO session_counts VALUES (99, 0, 0)").fetchall()
            if len(attempts) == 1:
                until(lambda: backends(postgres) == [])
            return "written"

        assert writer.write(write) == "written"
        assert len(attempts) == 2
        assert database._engine.fetch("SELECT count(*) FROM session_counts") == [(1,)]


@pytest.mark.parametrize("state", ["40003", "23505"])
def test_a_write_that_may_stand_is_repeated_as_one(engine: PostgresqlEngine, state: str) -> None:
    writer = Writer(engine, queue_size=9, busy_timeout=1, retry_delay=1, write_timeout=WAIT)
    repeats: list[bool] = []

    def write(connection: Connection, repeat: bool) -> str:
        repeats.append(repeat)
        if not repeat:
            connection.execute(raising(state))
        return "stands"

    assert writer.write(write, atomic=True) == "stands"
    assert repeats == [False, True]
