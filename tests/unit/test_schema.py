"""Migrations and the check of the schema."""

import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from shared import errors, schema
from shared.config import Settings
from shared.engines.sqlite import SqliteEngine


def change(path: Path | str, statement: str) -> None:
    """Change the file behind the service's back."""
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    connection.close()


def test_migrations_make_what_the_models_say(engine: SqliteEngine) -> None:
    assert schema.difference(engine) == ""


def test_a_second_start_migrates_nothing(engine: SqliteEngine, settings: Settings) -> None:
    before = engine.fetch("SELECT * FROM schema_migration")
    schema.ensure(SqliteEngine(settings))
    assert engine.fetch("SELECT * FROM schema_migration") == before


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        ("DROP TABLE enrollments", "create table enrollments"),
        ("ALTER TABLE messages DROP COLUMN content", "add column messages.content"),
        ("ALTER TABLE sessions ADD COLUMN colour TEXT", "drop column sessions.colour"),
        ("DROP INDEX sessions_active", "add index sessions.sessions_active"),
    ],
)
def test_a_difference_is_named(engine: SqliteEngine, statement: str, difference: str) -> None:
    change(engine.path, statement)
    assert schema.difference(engine) == difference


def test_a_newer_database_is_refused(engine: SqliteEngine, settings: Settings) -> None:
    change(engine.path, "INSERT INTO schema_migration (name, applied) VALUES ('9999_future', '2030-01-01')")
    with pytest.raises(errors.DatabaseSchemaError, match="9999_future"):
        schema.ensure(SqliteEngine(settings))


def test_a_database_of_something_else_is_refused(database: Path, settings: Settings) -> None:
    change(database, "CREATE TABLE sessions (cookie TEXT)")
    with pytest.raises(errors.DatabaseSchemaError):
        schema.ensure(SqliteEngine(settings))


def test_a_failed_migration_leaves_nothing(
    tmp_path: Path, database: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "_MIGRATIONS", shutil.copytree(schema._MIGRATIONS, tmp_path / "migrations"))
    migrations = tmp_path / "migrations" / "sqlite"
    (migrations / "0002_broken.py").write_text(
        "def up(migrator, db):\n"
        "    db.execute_sql('CREATE TABLE half (a)')\n"
        "    db.execute_sql('CREATE TABLE sessions (a)')\n"
    )
    engine = SqliteEngine(settings)
    with pytest.raises(errors.DatabaseSchemaError):
        schema.ensure(engine)
    assert engine.fetch("SELECT name FROM sqlite_schema WHERE name = 'half'") == []
    (migrations / "0002_broken.py").unlink()
    schema.ensure(engine)
    engine.close()


def test_many_containers_may_start_at_once(settings: Settings) -> None:
    start = """
import sys
from shared.config import Settings
from shared.database import open_database
sys.stdin.readline()
print(open_database(Settings(database_url=sys.argv[1])).count_active_sessions())
"""
    command = [sys.executable, "-c", start, settings.database_url]
    containers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    for container in containers:
        assert container.stdin is not None
        container.stdin.write("\n")
        container.stdin.flush()
    assert [container.communicate() for container in containers] == [("0\n", "")] * 6
