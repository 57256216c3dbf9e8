"""List: a page of 100 sessions out of few and out of many, under each filter."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from itertools import product, repeat
from pathlib import Path

from shared.entities import ACTIVE, SessionFilter
from shared.sessions import SessionManager
from tests.bench.containers import time_handler
from tests.bench.databases import GROUP, Classrooms, classrooms, open_ours, open_raw, statements
from tests.bench.harness import Call, Effort, interleaved, median, ratio, time_each
from tests.bench.report import Row, Section, Table, at_most
from tests.conftest import event

SQLITE3 = "bare fetch through sqlite3"
MANAGER = "manager"
HANDLER = "handler"

FILTERS = {
    "none": SessionFilter(),
    "created_by": SessionFilter(created_by="instructor_0"),
    "student_id": SessionFilter(student_id="student_0_0"),
}
"""Each lets at least a page's sessions through, in a database of any size."""

_SHARE = 20  # a measurement has so many times fewer calls than usual: these are long
_ROUNDS = 3  # times the usual number

Variant = tuple[int, str, str]
"""Sessions, filter, who lists."""


def run(effort: Effort, folder: Path) -> Section:
    """Every filter, out of few and out of many sessions."""
    few, many = effort.sessions[0], effort.sessions[-1]
    variants: dict[Variant, Callable[[], float]] = {}
    with ExitStack() as stack:
        for size in (few, many):
            variants |= measurements(classrooms(folder, size), stack, max(1, effort.calls // _SHARE))
        found = interleaved(replace(effort, rounds=_ROUNDS * effort.rounds), variants)
    took = {key: 1000 * median(times) for key, times in found.items()}
    rows: list[Row] = [
        {
            "filter": name,
            "who": who,
            f"of {few:,}, ms": took[few, name, who],
            f"of {many:,}, ms": took[many, name, who],
            "many / few": ratio(found[many, name, who], found[few, name, who]),
            "/ bare fetch": ratio(found[many, name, who], found[many, name, SQLITE3]),
        }
        for name, who in product(FILTERS, (SQLITE3, MANAGER, HANDLER))
    ]
    targets = [
        at_most(f"filter {row['filter']}, {row['who']}: of {many:,} / of {few:,}", row["many / few"], 1.5)
        for row in rows
        if row["who"] != SQLITE3
    ]
    notes = ["the bare fetch is the page and its total, as the service asks for them"]
    return Section("list", [Table(f"pages of {GROUP} active sessions, the newest", rows)], targets, notes)


def measurements(room: Classrooms, stack: ExitStack, calls: int) -> dict[Variant, Callable[[], float]]:
    """Who lists on this database, and the seconds that one page takes."""
    made: dict[Variant, Callable[[], float]] = {}
    manager = SessionManager(stack.enter_context(closing(open_ours(room.path))))
    for name, wanted in FILTERS.items():
        made[room.sessions, name, SQLITE3] = partial(time_each, _bare(room, wanted, stack), calls)
        listing = partial(manager.list_sessions, wanted, None, GROUP)
        made[room.sessions, name, MANAGER] = partial(time_each, listing, calls)
        asked = event("list", query={} if name == "none" else {name: getattr(wanted, name)})
        made[room.sessions, name, HANDLER] = partial(time_handler, room.path, "list", repeat(asked), calls)
    return made


def _bare(room: Classrooms, wanted: SessionFilter, stack: ExitStack) -> Call:
    sql = statements(room.path)
    creator, student = wanted.created_by is not None, wanted.student_id is not None
    page = sql.list_page(status=ACTIVE, creator=creator, student=student, after=False)
    total = sql.list_total(status=ACTIVE, creator=creator, student=student)
    who = [value for value in (wanted.student_id, wanted.created_by) if value is not None]
    execute = stack.enter_context(closing(open_raw(room.path))).execute
    return lambda: (execute(page, (*who, GROUP)).fetchall(), execute(total, who).fetchall())
