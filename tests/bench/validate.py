"""Validate: may this user join? Beside the look-ups that it is made of, out of few and out of many sessions."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path

from shared.entities import ACTIVE
from shared.sessions import SessionManager
from tests.bench.containers import Event, time_handler
from tests.bench.databases import CLASS_SIZE, Classrooms, classrooms, open_apsw, open_ours, open_raw, statements
from tests.bench.harness import Call, Effort, interleaved, median, ratio, time_each
from tests.bench.report import Section, Table, Target, at_most
from tests.conftest import event

DICTIONARY = "dictionary and set"
SQLITE3 = "primary key through sqlite3"
APSW = "primary key through apsw"
MANAGER = "manager, warm"
COLD = "manager, roster not cached"
HANDLER = "handler, event to response"

_ASKED_FOR = 100  # sessions, the newest: somebody is about to join them
_CALLS = 5  # times a measurement's usual number: these are short
_ROUNDS = 3  # times the usual number

Variant = tuple[int, str]
"""Sessions, and who answers."""


def run(effort: Effort, folder: Path) -> Section:
    """Every way to know, out of few and out of many sessions."""
    few, many = effort.sessions[0], effort.sessions[-1]
    variants: dict[Variant, Callable[[], float]] = {}
    with ExitStack() as stack:
        for size in (few, many):
            variants |= measurements(classrooms(folder, size), stack, _CALLS * effort.calls)
        found = interleaved(replace(effort, rounds=_ROUNDS * effort.rounds), variants)
    took = {key: 1e6 * median(times) for key, times in found.items()}
    rows = [
        {
            "one answer": name,
            f"of {few:,}, us": took[few, name],
            f"of {many:,}, us": took[many, name],
            "many / few": ratio(found[many, name], found[few, name]),
            "/ sqlite3": ratio(found[many, name], found[many, SQLITE3]),
        }
        for size, name in took
        if size == few
    ]
    notes = [
        f"asked in turn: the newest {_ASKED_FOR} sessions",
        "the dictionary alone does not see what other processes end: it is the floor, not an answer",
    ]
    return Section("validate", [Table("in microseconds", rows)], _targets(found, few, many), notes)


def measurements(room: Classrooms, stack: ExitStack, calls: int) -> dict[Variant, Callable[[], float]]:
    """Who answers on this database, and the seconds that one answer takes."""
    numbers = range(room.sessions)[-_ASKED_FOR:]
    asked = [(room.ids[number], room.students(number)[number % CLASS_SIZE]) for number in numbers]
    made: dict[Variant, Callable[[], float]] = {
        (room.sessions, name): partial(time_each, call, calls) for name, call in _calls(room, asked, stack).items()
    }
    events: list[Event] = [event("validate", key, query={"user_id": who, "role": "student"}) for key, who in asked]
    made[room.sessions, HANDLER] = partial(time_handler, room.path, "validate", cycle(events), calls, len(events))
    return made


def _calls(room: Classrooms, asked: list[tuple[str, str]], stack: ExitStack) -> dict[str, Call]:
    following = cycle(asked)
    status = statements(room.path).session_status
    rosters = {room.ids[number]: frozenset(room.students(number)) for number in range(room.sessions)[-_ASKED_FOR:]}
    raw = stack.enter_context(closing(open_raw(room.path)))
    apsw = stack.enter_context(closing(open_apsw(room.path)))
    database = stack.enter_context(closing(open_ours(room.path)))
    warm, cold = SessionManager(database), SessionManager(database, cache_size=1)
    warm.load_active_sessions()

    def look_up() -> bool:
        session_id, student = next(following)
        return student in rosters[session_id]

    def ask(connection: Callable[..., object]) -> Call:
        def read() -> bool:
            session_id, _student = next(following)
            return bool(connection(status, (session_id,)).fetchall()[0][0] == ACTIVE)  # type: ignore[attr-defined]

        return read

    def validate(manager: SessionManager) -> Call:
        return lambda: manager.validate_session_membership(*next(following), "student")

    return {
        DICTIONARY: look_up,
        SQLITE3: ask(raw.execute),
        APSW: ask(apsw.execute),
        MANAGER: validate(warm),
        COLD: validate(cold),
    }


def _targets(found: dict[Variant, list[float]], few: int, many: int) -> list[Target]:
    limits = ((MANAGER, 2.0), (HANDLER, 10.0))
    targets = [
        at_most(f"of {size:,}: {name} / {SQLITE3}", ratio(found[size, name], found[size, SQLITE3]), bound)
        for size in (few, many)
        for name, bound in limits
    ]
    for name, _bound in limits:
        targets.append(at_most(f"{name}: of {many:,} / of {few:,}", ratio(found[many, name], found[few, name]), 1.5))
    return targets
