"""SQLite files: pragmas, readers, and files that are missing, emptied, replaced, locked or no database."""

import os
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

PRAGMAS = {
    "journal_mode": "wal",
    "cache_size": -64000,
    "temp_store": 2,
    "foreign_keys": 1,
    "busy_timeout": 200,
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
        connection = engine.begin(clock.elapsed() + 1)
        connection.execute("UPDATE session_counts SET sessions = sessions + 1")
        engine.commit()
        engine.maintain()
        engine.release()
    log = database.with_name(database.name + "-wal")
    assert log.stat().st_size < 8_000_000  # 3000 commits of a page each would be 12 MB
