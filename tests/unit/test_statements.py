"""The SQL of the reads, and how SQLite runs it."""

from itertools import product
from pathlib import Path

import pytest

from shared.engines import Engine
from shared.writes import writes_of


def steps(engine: Engine, statement: str) -> list[str]:
    """The steps in which SQLite runs a statement."""
    parameters = (None,) * statement.count("?")
    return [row[3] for row in engine.fetch(f"EXPLAIN QUERY PLAN {statement}", parameters)]


@pytest.mark.parametrize("status", ["active", "ended", None])
@pytest.mark.parametrize(("creator", "student", "after"), [*product((False, True), repeat=3)])
def test_a_page_of_a_list_is_read_along_an_index_and_not_sorted(
    database: Path, engine: Engine, status: str | None, creator: bool, student: bool, after: bool
) -> None:
    sql, _writes = writes_of(engine, 0)
    found = steps(engine, sql.list_page(status=status, creator=creator, student=student, after=after))
    assert [step for step in found if "USING" not in step] == []


def test_all_active_sessions_are_read_along_an_index_and_not_sorted(database: Path, engine: Engine) -> None:
    sql, _writes = writes_of(engine, 0)
    assert [step.partition(" USING ")[2] for step in steps(engine, sql.active_sessions)] == ["INDEX sessions_active"]
