"""History: one session's messages out of very many, beside their bare fetch and beside peewee's models with json."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from peewee import SqliteDatabase

from shared.messages import MessageManager
from shared.models import MessageRow
from shared.sessions import SessionManager
from tests.bench.containers import time_handler
from tests.bench.databases import Classrooms, classrooms, open_apsw, open_ours, open_raw, pragmas, statements
from tests.bench.harness import Call, Effort, interleaved, median, ratio, time_each
from tests.bench.report import Section, Table, at_least, at_most
from tests.conftest import event

SQLITE3 = "bare fetch through sqlite3"
APSW = "bare fetch through apsw"
PEEWEE = "peewee's models and json"
MANAGER = "manager, to a page of messages"
ENCODED = "manager, to JSON"
HANDLER = "handler, event to response"
STUDENT = "handler, for a student"

_SHARE = 50  # a measurement has so many times fewer calls than usual: these are long
_ROUNDS = 3  # times the usual number


def run(effort: Effort, folder: Path) -> Section:
    """Every way to read a session's messages; sessions are asked for in a random order, the same for all."""
    room = crowded(effort, folder, effort.messages)
    with ExitStack() as stack:
        longer = replace(effort, rounds=_ROUNDS * effort.rounds)
        found = interleaved(longer, measurements(room, stack, max(1, effort.calls // _SHARE)))
    took = {name: 1000 * median(times) for name, times in found.items()}
    rows = [
        {
            "reader": name,
            "ms": ms,
            "/ bare fetch": ratio(found[name], found[SQLITE3]),
            "models / it": ratio(found[PEEWEE], found[name]),
        }
        for name, ms in took.items()
    ]
    targets = []
    for name in (MANAGER, HANDLER):
        targets.append(at_most(f"{name} / {SQLITE3}", ratio(found[name], found[SQLITE3]), 1.3))
    for name in (MANAGER, HANDLER):
        targets.append(at_least(f"{PEEWEE} / {name}", ratio(found[PEEWEE], found[name]), 6.0))
    title = f"{room.messages:,} messages out of {effort.messages:,}"
    return Section("history", [Table(title, rows)], targets)


def crowded(effort: Effort, folder: Path, messages: int) -> Classrooms:
    """A database with so many messages, all sessions full."""
    sessions = max(1, messages // effort.page)
    return classrooms(folder, sessions, effort.page, sessions)


def measurements(room: Classrooms, stack: ExitStack, calls: int) -> dict[str, Callable[[], float]]:
    """Who reads on this database, and the seconds that one history takes."""
    made: dict[str, Callable[[], float]] = {
        name: partial(time_each, call, calls) for name, call in _calls(room, stack).items()
    }
    students = dict(zip(room.ids, map(room.students, range(room.sessions)), strict=True))
    everything = [event("history", key) for key in shuffled(room)]
    visible = [event("history", key, query={"user_id": students[key][0], "role": "student"}) for key in shuffled(room)]
    made[HANDLER] = partial(time_handler, room.path, "history", cycle(everything), calls)
    made[STUDENT] = partial(time_handler, room.path, "history", cycle(visible), calls)
    return made


def shuffled(room: Classrooms) -> list[str]:
    """The sessions in a random order."""
    return Random(1).sample(room.ids, room.sessions)


def _calls(room: Classrooms, stack: ExitStack) -> dict[str, Call]:
    history = statements(room.path).history
    database = stack.enter_context(closing(open_ours(room.path)))
    messages = MessageManager(database, SessionManager(database))

    def fetch(execute: Callable[..., object], keys: Iterator[str]) -> Call:
        return lambda: execute(history, (next(keys), 0, room.messages)).fetchall()  # type: ignore[attr-defined]

    def page(keys: Iterator[str]) -> Call:
        return lambda: messages.session_history(next(keys), limit=room.messages)

    def encoded(keys: Iterator[str]) -> Call:
        return lambda: msgspec.json.encode(messages.session_history(next(keys), limit=room.messages)._asdict())

    raw = stack.enter_context(closing(open_raw(room.path)))
    apsw = stack.enter_context(closing(open_apsw(room.path)))
    peewee = stack.enter_context(closing(SqliteDatabase(str(room.path), pragmas=pragmas())))
    return {
        SQLITE3: fetch(raw.execute, cycle(shuffled(room))),
        APSW: fetch(apsw.execute, cycle(shuffled(room))),
        PEEWEE: _models(peewee, room.messages, cycle(shuffled(room))),
        MANAGER: page(cycle(shuffled(room))),
        ENCODED: encoded(cycle(shuffled(room))),
    }


def _models(database: SqliteDatabase, limit: int, keys: Iterator[str]) -> Call:
    def read() -> str:
        query = (
            MessageRow.select().where(MessageRow.session_id == next(keys)).order_by(MessageRow.sequence).limit(limit)
        )
        return json.dumps({"messages": [_as_dict(row) for row in query.execute(database)]})

    return read


def _as_dict(row: Any) -> dict[str, object]:
    return {
        "id": row.id,
        "session_id": row.session_key,
        "type": row.type,
        "context": row.context,
        "from_user": row.from_user,
        "to_user": row.to_user,
        "content": json.loads(row.content),
        "timestamp": row.timestamp,
    }
