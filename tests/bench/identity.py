"""Identity: what verified callers and the limit of their messages cost, beside the same calls without."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import cycle, product
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace as replace_fields

from shared.database import open_database
from shared.entities import MessageDraft
from tests.bench.containers import Event, time_handler
from tests.bench.databases import (
    CLASS_SIZE,
    CONTENT,
    CONTEXT,
    TYPE,
    Classrooms,
    classrooms,
    scratch_copy,
    settings,
)
from tests.bench.harness import Effort, interleaved, median, ratio, time_each
from tests.bench.report import Section, Table, at_most
from tests.conftest import event

TRUST = "under trust"
BY_CONTEXT = "verified by authorize"
BY_CLAIMS = "verified by the gateway"
FREE = "no limit"
LIMITED = "a limit that is not reached"

SYNCHRONOUS = ("NORMAL", "FULL")
_LIMIT = 1_000_000
_ROUNDS = 3  # times the usual number


def run(effort: Effort, folder: Path) -> Section:
    """A warm `validate` for each way to know callers, and a lone store with and without a limit."""
    room = classrooms(folder, effort.sessions[0])
    variants = _validates(room, 5 * effort.calls) | _stores(room, effort.calls)
    found = interleaved(replace(effort, rounds=_ROUNDS * effort.rounds), variants)
    rows = [
        {"call": f"{call}, {how}", "us": 1e6 * median(times), "/ without": ratio(times, found[call, _base(call)])}
        for (call, how), times in found.items()
    ]
    targets = [
        at_most(f"validate {how} / {TRUST}", ratio(found["validate", how], found["validate", TRUST]), 1.3)
        for how in (BY_CONTEXT, BY_CLAIMS)
    ]
    for call in (f"store {level}" for level in SYNCHRONOUS):
        targets.append(at_most(f"{call}: {LIMITED} / {FREE}", ratio(found[call, LIMITED], found[call, FREE]), 1.1))
    return Section("identity", [Table("one call", rows)], targets)


def _base(call: str) -> str:
    return TRUST if call == "validate" else FREE


def _validates(room: Classrooms, calls: int) -> dict[tuple[str, str], Callable[[], float]]:
    student = room.students(room.sessions - 1)[0]
    plain = event("validate", room.ids[room.sessions - 1], query={"user_id": student, "role": "student"})
    claims = {"sub": student, "iss": "https://issuer.example", "aud": "classroom", "roles": "[class-7 chess]"}
    ways: dict[str, tuple[Any, dict[str, str]]] = {
        TRUST: (None, {}),
        BY_CONTEXT: ({"lambda": {"user_id": student, "role": "student"}}, {"identity": "claims"}),
        BY_CLAIMS: ({"jwt": {"claims": claims, "scopes": None}}, {"identity": "claims"}),
    }
    return {
        ("validate", how): partial(
            time_handler, room.path, "validate", cycle([_with(plain, authorizer)]), calls, 1, **changes
        )
        for how, (authorizer, changes) in ways.items()
    }


def _with(plain: dict[str, Any], authorizer: Any) -> Event:
    return plain | {"requestContext": plain["requestContext"] | {"authorizer": authorizer}}


def _stores(room: Classrooms, calls: int) -> dict[tuple[str, str], Callable[[], float]]:
    return {
        (f"store {level}", how): partial(_store, room, level, limit, calls)
        for level, (how, limit) in product(SYNCHRONOUS, ((FREE, 0), (LIMITED, _LIMIT)))
    }


def _store(room: Classrooms, synchronous: str, limit: int, calls: int) -> float:
    with scratch_copy(room, room.path.parent) as copy:
        chosen = replace_fields(settings(copy.path, synchronous), messages_per_minute=limit)
        following = cycle(_drafts(copy))
        with closing(open_database(chosen)) as database:
            return time_each(lambda: database.store_message(next(following)), calls)


def _drafts(room: Classrooms) -> list[MessageDraft]:
    content = msgspec.Raw(CONTENT.encode())
    return [
        MessageDraft(room.ids[number], TYPE, CONTEXT, room.students(number)[number % CLASS_SIZE], None, content)
        for number in range(room.sessions)
    ]
