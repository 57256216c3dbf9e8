"""The design's four figures, each measured at the whole function, event to response."""

import json
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

from tests.bench.containers import Event, invoking, warm_container
from tests.bench.databases import CLASS_SIZE, CONTENT, TYPE, Classrooms, classrooms, scratch_copy
from tests.bench.harness import Effort, Sample, crowd, interleaved, latency_figures
from tests.bench.report import Section, Table, at_most
from tests.conftest import event


def run(effort: Effort, folder: Path) -> Section:
    """Validate, create, write and history: one caller, default settings."""
    original = classrooms(folder, effort.sessions[0], effort.page, effort.sessions[0])
    promised = {
        "validate": ("validate a membership", 1.0),
        "create": (f"create a session for {CLASS_SIZE}", 100.0),
        "store": ("write a message", 50.0),
        "history": (f"history of {effort.page} messages", 100.0),
    }
    section = Section("document")
    with scratch_copy(original, folder) as copy, warm_container(copy.path):
        measured = interleaved(effort, {name: _measuring(name, copy, effort.seconds) for name in promised})
    rows = []
    for name, (what, limit) in promised.items():
        figures = latency_figures(measured[name])
        rows.append({"function": what, "design, ms": limit, **figures})
        section.targets.append(at_most(f"{what}: p99 in ms", figures["p99 ms"], limit))
    section.tables = [Table("event to response, one caller, synchronous=NORMAL", rows)]
    return section


def _measuring(name: str, room: Classrooms, seconds: float) -> Callable[[], Sample]:
    invoke, events = invoking(name), _events(name, room)
    return lambda: crowd([lambda: invoke(next(events))], seconds)


def _events(name: str, room: Classrooms) -> Iterator[Event]:
    if name == "create":
        body = {"name": "Algebra", "instructor_id": "ms_noether", "student_ids": room.students(0)}
        return cycle([event("create", body=body)])
    students = {room.ids[number]: room.students(number)[0] for number in range(room.sessions)}
    if name == "validate":
        made = [event(name, key, query={"user_id": who, "role": "student"}) for key, who in students.items()]
    elif name == "store":
        message = {"type": TYPE, "role": "student", "content": json.loads(CONTENT)}
        made = [event(name, key, body=message | {"from_user": who}) for key, who in students.items()]
    else:
        made = [event(name, key) for key in students]
    return cycle(made)
