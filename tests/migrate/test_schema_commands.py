"""`status`, `up` and `check`, on both engines."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.config import Settings
from shared.engines.postgresql.engine import PostgresqlEngine
from shared.errors import DatabaseSchemaError
from shared.migrations import schema
from tests.conftest import at_once
from tests.migrate.commands import ROOT, command, finish, migrate, tables_of
from tests.storage import KINDS, SQLITE, PostgresDatabases, Storage

NEWER = "INSERT INTO schema_migration (name, applied) VALUES ('9999_future', '2030-01-01')"


@pytest.fixture(params=KINDS)
def fresh(request: pytest.FixtureRequest, storage: Storage, postgres_databases: PostgresDatabases) -> Iterator[Storage]:
    """A database that nobody migrated."""
    if request.param == SQLITE:
        yield storage
    else:
        with postgres_databases.unmigrated() as fresh:
            yield fresh


def migrations(kind: str) -> list[str]:
    """The names of an engine's migrations, in order."""
    return sorted(path.stem for path in (ROOT / "shared/migrations" / kind).glob("[0-9]*.py"))


def listed(state: str, storage: Storage) -> str:
    """Every migration in this state, as the commands print them."""
    return "".join(f"{state}  {name}\n" for name in migrations(storage.kind))


def on(storage: Storage, name: str, **environment: str) -> tuple[int, str, str]:
    """A command on a database: exit code, standard output, standard error."""
    ran = migrate(name, SWITCHBOARD_DATABASE_URL=storage.url, **environment)
    return ran.code, ran.out, ran.err


def test_from_nothing_to_a_checked_schema(fresh: Storage) -> None:
    pending = listed("pending", fresh)
    assert on(fresh, "status") == (0, pending, "")
    code, out, err = on(fresh, "check")
    assert (code, out[: len(pending)]) == (1, pending)
    assert err == "error: SWITCHBOARD_DATABASE_URL: the schema is not what this version needs\n"
    assert on(fresh, "up") == (0, listed("applied", fresh), "")
    assert on(fresh, "up") == (0, "nothing is pending\n", "")
    assert on(fresh, "check") == (0, "the schema is what this version needs\n", "")


def test_status_tells_when_in_utc(fresh: Storage) -> None:
    before = datetime.now(UTC)
    assert on(fresh, "up", TZ="Asia/Tokyo")[0] == 0
    state, name, applied = on(fresh, "status", TZ="America/Lima")[1].splitlines()[0].split()
    assert (state, name, len(applied)) == ("applied", "0001_initial", len("2026-11-22T08:00:00.000000Z"))
    assert before <= datetime.fromisoformat(applied) <= datetime.now(UTC)


def test_looking_makes_nothing(database: Path) -> None:
    for name in ("status", "check"):
        migrate(name)
        assert list(database.parent.iterdir()) == []


def test_looking_makes_no_table(target: Storage) -> None:
    for name in ("status", "check"):
        on(target, name)
        assert tables_of(target) == set()


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("DROP INDEX sessions_creator", "add index sessions (created_by, start_time, id, status)"),
        ("DROP TABLE enrollments", "create table enrollments"),
        ("ALTER TABLE messages DROP COLUMN content", "add column messages.content"),
    ],
)
def test_check_names_what_is_missing(fresh: Storage, change: str, difference: str) -> None:
    on(fresh, "up")
    fresh.run(change)
    code, out, err = on(fresh, "check")
    assert (code, out, err.count("\n")) == (1, difference + "\n", 1)


@pytest.mark.parametrize("name", ["status", "up", "check"])
def test_a_newer_schema_is_refused(fresh: Storage, name: str) -> None:
    on(fresh, "up")
    fresh.run(NEWER)
    code, out, err = on(fresh, name)
    refusal = "database schema is newer than this version of the service: 9999_future"
    assert (code, err) == (1, f"error: SWITCHBOARD_DATABASE_URL: {refusal}\n")
    assert ("newer    9999_future" in out) == (name == "status")


def test_a_newer_schema_is_refused_by_copy(storage: Storage, target: Storage) -> None:
    on(storage, "up")
    on(target, "up")
    target.run(NEWER)
    copy = ("copy", "--from", storage.url, "--to", target.url)
    assert migrate(*copy).error.startswith("error: --to: database schema is newer")
    target.run("DELETE FROM schema_migration WHERE name = '9999_future'")
    storage.run(NEWER)
    assert migrate(*copy).error.startswith("error: --from: database schema is newer")


def test_tables_of_something_else_are_left_alone(fresh: Storage) -> None:
    fresh.run("CREATE TABLE sessions (cookie TEXT)")
    code, out, err = on(fresh, "up")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("error: SWITCHBOARD_DATABASE_URL: database ")
    assert fresh.run("SELECT * FROM sessions") == []


def test_eight_at_once(fresh: Storage) -> None:
    started = [command("up", SWITCHBOARD_DATABASE_URL=fresh.url) for _ in range(8)]
    ran = [finish(process) for process in started]
    assert [(one.code, one.err) for one in ran] == [(0, "")] * 8
    assert sorted(one.out for one in ran) == [listed("applied", fresh)] + ["nothing is pending\n"] * 7
    assert on(fresh, "check")[0] == 0


@contextmanager
def unlocked(engine: PostgresqlEngine, _deadline: float) -> Iterator[None]:
    """Keep nobody out."""
    try:
        yield
    except Exception as error:
        raise engine.failure(error) or error from error


def test_eight_at_once_without_advisory_locks(target: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PostgresqlEngine, "exclusive", unlocked)

    def start(_: int) -> list[str]:
        with closing(PostgresqlEngine(Settings(database_url=target.url))) as engine:
            return schema.ensure(engine)

    applied = [name for names in at_once(8, start) for name in names]  # one that lost a later race reports none
    assert sorted(applied) == sorted(set(applied))
    with closing(PostgresqlEngine(Settings(database_url=target.url))) as engine:
        found = schema.migrations(engine)
    assert [one.name for one in found if one.applied] == migrations("postgresql")
    assert on(target, "check")[0] == 0


def test_a_newer_version_that_came_first(target: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    exclusive = PostgresqlEngine.exclusive

    @contextmanager
    def late(engine: PostgresqlEngine, deadline: float) -> Iterator[None]:
        on(target, "up")
        target.run(NEWER)
        with exclusive(engine, deadline):
            yield

    monkeypatch.setattr(PostgresqlEngine, "exclusive", late)
    with (
        closing(PostgresqlEngine(Settings(database_url=target.url))) as engine,
        pytest.raises(DatabaseSchemaError, match="9999_future"),
    ):
        schema.ensure(engine)


def test_the_option_goes_before_the_setting(storage: Storage, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    assert migrate("up", "--database-url", other).code == 0
    assert on(storage, "status")[1] == listed("pending", storage)
    assert migrate("status", "--database-url", other).out.startswith("applied")
