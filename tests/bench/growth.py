"""Growth: what ten times the data does to the time of a call."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path

import msgspec

from shared.entities import MessageDraft
from tests.bench import history, listing, validate
from tests.bench.databases import CONTENT, CONTEXT, TYPE, Classrooms, classrooms, open_ours, scratch_copy
from tests.bench.harness import Effort, interleaved, median, ratio, time_each
from tests.bench.report import Row, Section, Table

_LONG = 50  # a measurement of long calls has so many times fewer of them
_ROUNDS = 2  # times the usual number

Calls = dict[str, Callable[[], float]]
"""What is called, and the seconds that it takes."""


def run(effort: Effort, folder: Path) -> Section:
    """Validate and list pages by sessions, store and history pages by messages."""
    few, many = effort.sessions[1:]
    tenth, full = effort.messages // 10, effort.messages
    with ExitStack() as stack:
        rooms = {size: history.crowded(effort, folder, size) for size in (tenth, full)}
        by_sessions = {size: _by_sessions(classrooms(folder, size), stack, effort) for size in (few, many)}
        by_messages = {size: _by_messages(room, stack, effort) for size, room in rooms.items()}
        tables = [_table("sessions", by_sessions, effort), _table("messages", by_messages, effort)]
    return Section("growth", tables)


def _table(what: str, calls: dict[int, Calls], effort: Effort) -> Table:
    variants = {(name, size): measure for size, measures in calls.items() for name, measure in measures.items()}
    found = interleaved(replace(effort, rounds=_ROUNDS * effort.rounds), variants)
    took = {key: 1e6 * median(times) for key, times in found.items()}
    few, many = calls
    rows: list[Row] = [
        {
            "call": name,
            f"of {few:,}, us": took[name, few],
            f"of {many:,}, us": took[name, many],
            "many / few": ratio(found[name, many], found[name, few]),
        }
        for name in calls[few]
    ]
    return Table(f"with ten times the {what}", rows)


def _by_sessions(room: Classrooms, stack: ExitStack, effort: Effort) -> Calls:
    answers = validate.measurements(room, stack, effort.calls)
    pages = listing.measurements(room, stack, max(1, effort.calls // _LONG))
    made = {
        f"validate, {name}": answers[room.sessions, name]
        for name in (validate.MANAGER, validate.COLD, validate.HANDLER)
    }
    for name in listing.FILTERS:
        made[f"list page, filter {name}"] = pages[room.sessions, name, listing.HANDLER]
    return made


def _by_messages(room: Classrooms, stack: ExitStack, effort: Effort) -> Calls:
    pages = history.measurements(room, stack, max(1, effort.calls // _LONG))
    copy = stack.enter_context(scratch_copy(room, room.path.parent))
    store = stack.enter_context(closing(open_ours(copy.path))).store_message
    raw = msgspec.Raw(CONTENT.encode())
    drafts = cycle([MessageDraft(key, TYPE, CONTEXT, "student_0_0", None, raw) for key in history.shuffled(copy)])
    return {
        "history page, handler": pages[history.HANDLER],
        "store, manager": partial(time_each, lambda: store(next(drafts)), effort.calls),
    }
