"""SQLite files: pragmas, readers, and files that are missing, emptied, replaced, locked or no database."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import apsw
import pytest

from shared import clock, errors
from shared.config import Settings
from shared.engines import open_engine
from shared.engines.sqlite.engine import SqliteEngine
from shared.migrations import schema

LOG_LIMIT = 8 * 1024 * 1024
PRAGMAS: dict[str, object] = {
    "journal_mode": "wal",
    "cache_size": -64000,
    "temp_store": 2,
    "foreign_keys": 1,
    "busy_timeout": 200,
    "journal_size_limit": LOG_LIMIT,
    "checkpoint_fullfsync": 1,
}


@pytest.fixture
def engine(database: Path, settings: Settings) -> Iterator[SqliteEngine]:
    """An engine on a migrated file."""
    engine = SqliteEngine(settings)
    schema.ensure(engine)
    yield engine
    engine.close()


def pragmas_of(connection: apsw.Connection) -> dict[str, object]:
    """What the connection itself says."""
    return {name: connection.execute(f"PRAGMA {name}").fetchall()[0][0] for name in PRAGMAS}


def test_every_connection_has_every_pragma(engine: SqliteEngine) -> None:
    first, second = engine.snapshot(lambda first: (pragmas_of(first), engine.snapshot(pragmas_of)))
    assert first == second == PRAGMAS
    writer = engine.begin(clock.elapsed())
    assert pragmas_of(writer) == PRAGMAS
    engine.rollback()
    engine.release()
    with engine.dialect.connection_context():
        assert pragmas_of(engine.dialect.connection()) == PRAGMAS


@pytest.mark.parametrize(("mode", "value"), [("NORMAL", 1), ("FULL", 2)])
def test_synchronous_is_a_setting(database: Path, mode: Literal["NORMAL", "FULL"], value: int) -> None:
    engine = SqliteEngine(Settings(database_url=f"sqlite:///{database}", synchronous=mode))
    schema.ensure(engine)
    assert engine.fetch("PRAGMA synchronous") == [(value,)]
    assert engine.fetch("PRAGMA fullfsync") == [(int(mode == "FULL"),)]
    engine.close()


def test_readers_cannot_write(engine: SqliteEngine) -> None:
    with pytest.raises(errors.DatabaseReadOnlyError):
        engine.fetch("DELETE FROM sessions")


def test_a_reader_that_leaves_early_pins_no_old_state(engine: SqliteEngine) -> None:
    engine.walk("SELECT status FROM session_counts", (), next)
    writer = engine.begin(clock.elapsed())
    writer.execute("UPDATE session_counts SET sessions = 7")
    engine.commit()
    engine.release()
    assert engine.fetch("SELECT DISTINCT sessions FROM session_counts") == [(7,)]


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://secret@host/db", "", "sqlite:///a.db?mode=ro"]
)
def test_a_url_that_names_no_file_is_refused_by_its_setting(url: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="SWITCHBOARD_DATABASE_URL") as refusal:
        open_engine(Settings(database_url=url))
    assert "secret" not in str(refusal.value)


def test_relative_and_absolute_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert SqliteEngine(Settings(database_url="sqlite:///a.db")).path == str(tmp_path / "a.db")
    assert SqliteEngine(Settings(database_url=f"sqlite:///{tmp_path}/b.db")).path == str(tmp_path / "b.db")


def test_a_file_that_is_no_database(database: Path, settings: Settings) -> None:
    database.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(errors.DatabaseCorruptError):
        schema.ensure(SqliteEngine(settings))
    assert database.read_bytes().startswith(b"Dear diary, ")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(errors.DatabaseUnavailableError):
        schema.ensure(SqliteEngine(Settings(database_url=f"sqlite:///{tmp_path}/missing/a.db")))


def test_an_empty_file_is_a_beginning(database: Path, settings: Settings) -> None:
    database.touch()
    engine = SqliteEngine(settings)
    schema.ensure(engine)
    assert engine.fetch("SELECT count(*) FROM sessions") == [(0,)]
    engine.close()


@pytest.mark.parametrize("loss", ["deleted", "emptied"])
def test_a_lost_file_is_not_made_anew(engine: SqliteEngine, database: Path, settings: Settings, loss: str) -> None:
    if loss == "deleted":
        database.unlink()
    else:
        os.truncate(database, 0)
    with pytest.raises(errors.DatabaseUnavailableError):
        engine.fetch("SELECT count(*) FROM sessions")
    with pytest.raises(errors.DatabaseUnavailableError):
        engine.begin(clock.elapsed())
    with pytest.raises(errors.DatabaseUnavailableError):
        schema.ensure(SqliteEngine(settings))
    assert not database.exists() or database.stat().st_size == 0


def test_service_returns_with_the_file(engine: SqliteEngine, database: Path) -> None:
    aside = database.rename(database.with_name("aside"))
    with pytest.raises(errors.DatabaseUnavailableError):
        engine.fetch("SELECT count(*) FROM sessions")
    aside.rename(database)
    assert engine.fetch("SELECT count(*) FROM sessions") == [(0,)]
    engine.begin(clock.elapsed())
    engine.rollback()
    engine.release()


def test_a_foreign_writer_makes_busy_after_the_deadline_and_not_before(engine: SqliteEngine, database: Path) -> None:
    foreign = apsw.Connection(str(database))
    foreign.execute("BEGIN IMMEDIATE")
    started = clock.elapsed()
    with pytest.raises(errors.DatabaseBusyError) as refusal:
        engine.begin(started + 0.1)
    assert refusal.value.can_pass
    assert clock.elapsed() >= started + 0.1
    foreign.execute("ROLLBACK")
    engine.begin(clock.elapsed())
    engine.rollback()
    engine.release()
    foreign.close()


def test_while_it_waits_for_a_foreign_writer_it_holds_up_nobody(engine: SqliteEngine, settings: Settings) -> None:
    foreign = apsw.Connection(engine.path)
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.DatabaseBusyError):
        engine.begin(clock.elapsed() + 0.05)
    other = SqliteEngine(settings)
    with other.exclusive(clock.elapsed() + 1):
        pass
    other.close()
    foreign.close()


def test_closed_is_closed(engine: SqliteEngine) -> None:
    engine.close()
    engine.close()
    with pytest.raises(errors.DatabaseClosedError):
        engine.fetch("SELECT 1")
    with pytest.raises(errors.DatabaseClosedError):
        engine.begin(clock.elapsed())


def test_the_log_is_moved_into_the_file_between_writes(engine: SqliteEngine, database: Path) -> None:
    for _ in range(3000):
        write(engine, "UPDATE session_counts SET sessions = sessions + 1", maintain=True)
    log = database.with_name(database.name + "-wal")
    assert log.stat().st_size < 8_000_000  # 3000 commits of a page each would be 12 MB


def write(engine: SqliteEngine, statement: str, *, maintain: bool = False) -> None:
    """One write; the writer lets the engine maintain its files after each."""
    connection = engine.begin(clock.elapsed() + 1)
    connection.execute(statement)
    engine.commit()
    if maintain:
        engine.maintain()
    engine.release()


LARGE_WRITE = "INSERT INTO bulk VALUES (zeroblob(12000000))"  # more than the log's limit, and than a thousand pages


@pytest.fixture
def log(engine: SqliteEngine) -> Path:
    """The log beside the engine's file, which has room for large writes."""
    write(engine, "CREATE TABLE bulk (content BLOB)")
    return Path(engine.path + "-wal")


def test_a_log_that_grew_behind_a_long_read_is_cut_off_after_it(engine: SqliteEngine, log: Path) -> None:
    def long_read(connection: apsw.Connection) -> None:
        connection.execute("SELECT count(*) FROM bulk").fetchall()
        for _ in range(3):
            write(engine, LARGE_WRITE, maintain=True)

    engine.snapshot(long_read)
    assert log.stat().st_size > 3 * 12_000_000
    for _ in range(4):
        write(engine, LARGE_WRITE, maintain=True)
    assert log.stat().st_size == 0


def test_a_read_in_the_way_of_the_cut_is_not_waited_for(database: Path) -> None:
    engine = SqliteEngine(Settings(database_url=f"sqlite:///{database}", busy_timeout_ms=60_000))
    log = Path(engine.path + "-wal")

    def late_read(connection: apsw.Connection) -> float:
        connection.execute("SELECT count(*) FROM bulk").fetchall()
        began = clock.elapsed()
        engine.begin(began)
        engine.rollback()
        engine.maintain()
        engine.release()
        return clock.elapsed() - began

    write(engine, "CREATE TABLE bulk (content BLOB)")
    write(engine, LARGE_WRITE)
    assert engine.snapshot(late_read) < 30
    assert log.stat().st_size > LOG_LIMIT
    write(engine, "INSERT INTO bulk VALUES (1)")  # at its commit the log begins anew
    assert log.stat().st_size <= LOG_LIMIT
    engine.close()


def test_reads_at_once_have_connections_of_their_own_and_eight_are_kept(engine: SqliteEngine) -> None:
    def nested(depth: int) -> list[apsw.Connection]:
        return engine.snapshot(lambda own: [own, *(nested(depth - 1) if depth else [])])

    used = nested(9)
    assert len(set(map(id, used))) == 10
    assert sum(connection in apsw.connections() for connection in used) == 8
    assert all(any(again is connection for connection in used) for again in nested(7))


def test_closing_waits_for_another_process_and_gives_up_after_a_second(
    engine: SqliteEngine, settings: Settings
) -> None:
    write(engine, "CREATE TABLE bulk (content BLOB)")
    other = SqliteEngine(settings)
    with other.exclusive(clock.elapsed() + 1):
        began = clock.elapsed()
        engine.close()
        assert 1 <= clock.elapsed() - began < 30
    other.close()


def test_closing_moves_the_log_into_the_file_once_the_other_process_is_done(
    engine: SqliteEngine, settings: Settings
) -> None:
    write(engine, "CREATE TABLE bulk (content BLOB)")
    other = SqliteEngine(settings)
    with other.exclusive(clock.elapsed() + 1):
        closing = threading.Thread(target=engine.close)
        closing.start()
        closing.join(0.1)
        assert closing.is_alive()
    closing.join(10)
    assert not Path(engine.path + "-wal").exists()
    other.close()
