"""The mark in the target at moments that no kill hits for sure."""

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from shared import environment
from shared.cli.databases import RefusedError
from shared.config import Settings
from shared.engines.postgresql.engine import PostgresqlEngine
from shared.engines.sqlite.engine import SqliteEngine
from shared.migrate.copying import copy
from shared.migrate.source import Source
from shared.migrate.tables import SESSIONS
from shared.migrate.target import Mark, Target
from tests.conftest import call, open_classroom
from tests.migrate.commands import migrate, rows_of, tables_of
from tests.storage import Storage

ROW = (
    "01a2040a-0000-7000-8000-000000000001",
    "Algebra",
    "ms_noether",
    "2026-11-22T08:00:00.000000Z",
    None,
    "active",
    '["ann"]',
)


@contextmanager
def opened(storage: Storage) -> Iterator[Target]:
    """A target as a copy has it."""
    with closing(PostgresqlEngine(Settings(database_url=storage.url))) as engine:
        yield Target(engine, "--to")


def test_two_that_found_it_empty(target: Storage) -> None:
    with opened(target) as first, opened(target) as second:
        mark = first.claim("one")
        first.add(SESSIONS, [ROW], mark.moved(SESSIONS, [ROW]))
        with pytest.raises(RefusedError, match="no copy of this source"):
            second._transaction(lambda connection: second._sign(connection, "another"))
        first.add(SESSIONS, [ROW], mark.moved(SESSIONS, [ROW]))  # nobody took it over
    assert target.run("SELECT source, copied FROM copy_progress") == [("one", 1)]


def test_an_empty_target_may_be_taken_over(target: Storage) -> None:
    with opened(target) as first, opened(target) as second:
        mark = first.claim("one")
        assert second.claim("another") == Mark("another")
        with pytest.raises(RefusedError, match="another copy into it has begun"):
            first.add(SESSIONS, [ROW], mark.moved(SESSIONS, [ROW]))
    assert rows_of(target, "sessions") == []


class KilledError(Exception):
    """Stands for a death."""


def test_killed_when_all_is_done_but_the_mark(
    school: Storage, target: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dying(Target):
        """Dies before its mark is removed."""

        def _change_tables(self, statement: str) -> None:
            if statement.startswith("DROP"):
                raise KilledError
            super()._change_tables(statement)

    with (
        closing(SqliteEngine(Settings(database_url=school.url))) as old,
        closing(PostgresqlEngine(Settings(database_url=target.url))) as new,
        pytest.raises(KilledError),
    ):
        list(copy(Source(old, "--from"), Dying(new, "--to"), io.StringIO()))
    assert "copy_progress" in tables_of(target)
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", target.url)
    room = open_classroom()  # whoever uses it already
    environment.reset()
    ran = migrate("copy", "--from", school.url, "--to", target.url)
    assert (ran.code, ran.out.startswith("Copied and verified."), ran.err) == (0, True, "")
    assert "copy_progress" not in tables_of(target)
    assert room.id in [id_ for id_, *_ in rows_of(target, "sessions")]
    assert room.ask("get").status == 200
    assert call("list", query={"status": "all"}).body["total_count"] == len(rows_of(school, "sessions")) + 1
