"""Migrations and the check of the schema, on both engines."""

import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from shared import errors
from shared.config import Settings
from shared.engines import Engine, open_engine
from shared.migrations import schema
from shared.models import POSTGRESQL_MODELS, SQLITE_MODELS
from tests.storage import SQLITE, Storage


def ensure(settings: Settings) -> None:
    """What a cold start does."""
    with closing(open_engine(settings)) as engine:
        schema.ensure(engine)


def test_migrations_make_what_the_models_say(empty: Storage, settings: Settings) -> None:
    models = SQLITE_MODELS if empty.kind == SQLITE else POSTGRESQL_MODELS
    with closing(open_engine(replace(settings, database_url=empty.url))) as engine:
        missing = {f"create table {model._meta.table_name}" for model in models}
        assert missing <= set(schema.difference(engine).splitlines())
        schema.ensure(engine)
        assert schema.difference(engine) == ""


def test_a_second_start_migrates_nothing(engine: Engine, settings: Settings) -> None:
    before = engine.fetch("SELECT * FROM schema_migration")
    ensure(settings)
    assert len(before) > 0
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
def test_a_difference_is_named(engine: Engine, storage: Storage, statement: str, difference: str) -> None:
    storage.run(statement)
    assert schema.difference(engine) == difference


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        ("DROP TABLE session_heads", "create table session_heads"),
        ("DROP INDEX messages_id", "add index messages (session_id, id) unique"),
    ],
)
def test_a_difference_that_a_server_alone_can_have(
    postgres: Storage, engine: Engine, statement: str, difference: str
) -> None:
    postgres.run(statement)
    assert schema.difference(engine) == difference


def test_a_newer_database_is_refused(engine: Engine, storage: Storage, settings: Settings) -> None:
    storage.run("INSERT INTO schema_migration (name, applied) VALUES ('9999_future', '2030-01-01')")
    with pytest.raises(errors.DatabaseSchemaError, match="9999_future"):
        ensure(settings)


def test_a_database_of_something_else_is_refused(empty: Storage, settings: Settings) -> None:
    empty.run("CREATE TABLE sessions (cookie TEXT)")
    with pytest.raises(errors.DatabaseSchemaError):
        ensure(replace(settings, database_url=empty.url))


def test_a_failed_migration_leaves_nothing(
    tmp_path: Path, storage: Storage, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "_MIGRATIONS", shutil.copytree(schema._MIGRATIONS, tmp_path / "migrations"))
    broken = tmp_path / "migrations" / storage.kind / "9000_broken.py"
    broken.write_text(
        "def up(migrator, db):\n"
        "    db.execute_sql('CREATE TABLE half (a text)')\n"
        "    db.execute_sql('CREATE TABLE sessions (a text)')\n"
    )
    with closing(open_engine(settings)) as engine:
        with pytest.raises(errors.DatabaseSchemaError):
            schema.ensure(engine)
        with pytest.raises(errors.DatabaseSchemaError):
            engine.fetch("SELECT * FROM half")
        broken.unlink()
        schema.ensure(engine)
        assert schema.difference(engine) == ""


def test_many_containers_may_start_at_once(empty: Storage, settings: Settings) -> None:
    start = """
import sys
from shared.config import Settings
from shared.database import open_database
from shared.engines import open_engine
settings = Settings(database_url=sys.argv[1])
open_engine(settings)  # imports the driver
print("ready", flush=True)
sys.stdin.readline()
print(open_database(settings).count_active_sessions())
"""
    command = [sys.executable, "-c", start, empty.url]
    containers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    for container in containers:
        assert container.stdout is not None
        assert container.stdout.readline() == "ready\n"
    for container in containers:
        assert container.stdin is not None
        container.stdin.write("\n")
        container.stdin.flush()
    assert [container.communicate() for container in containers] == [("0\n", "")] * 6
    with closing(open_engine(replace(settings, database_url=empty.url))) as engine:
        assert schema.difference(engine) == ""
