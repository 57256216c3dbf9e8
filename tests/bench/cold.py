"""Cold start: each function from nothing to its first answer, in a fresh process, and the memory that it holds then.

The processes run what is deployed: the files of the zip, with and without bytecode, in a folder for reading only.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from shared.config import variable
from tests.bench.containers import Event
from tests.bench.databases import TYPE, Classrooms, classrooms, scratch_copy
from tests.bench.deployed import SHARE, small_share, unpacked
from tests.bench.harness import Effort, interleaved, median, ratio
from tests.bench.report import Row, Section, Table, Target, at_most
from tests.conftest import event

EMPTY = "python -c pass"
PEEWEE = "import peewee"
_PEEWEE = "import sys; sys.modules['psycopg'] = None; import peewee"  # alone: it imports every driver that it finds
VALIDATE = "validate"
ON_POSTGRESQL = "validate on PostgreSQL, loaded"
_LOADED = "import functions.validate"
_NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"  # loading does not connect
WITHOUT = ", no bytecode"
_BOUNDS = {VALIDATE: 0.8, ON_POSTGRESQL: 1.3}
_BOUND = 1.5

_ANSWER = """
from functions.{name} import handler
answer = handler({event!r}, None)
assert answer["statusCode"] < 300, answer
"""
# Rss would count the libraries that processes share in each of them: Pss counts a part of them.
_REPORT = """
import os, time
spent = time.process_time()
os.write(1, b".")
with open("/proc/self/smaps_rollup", "rb") as memory:
    os.write(1, f"{spent} ".encode() + memory.read())
"""


class Start(NamedTuple):
    """What one fresh process took: seconds until its answer, seconds of processor time, and the memory that it held."""

    seconds: float
    processor: float
    megabytes: float


def run(effort: Effort, folder: Path) -> Section:
    """Every function, beside an empty Python and beside importing peewee alone."""
    few, many = effort.sessions[0], effort.sessions[-1]
    original = classrooms(folder, few, effort.page, few)
    with (
        scratch_copy(original, folder) as room,
        scratch_copy(classrooms(folder, many), folder) as large,
        TemporaryDirectory() as first,
        TemporaryDirectory() as second,
        small_share() as share,
    ):
        task, plain = unpacked(Path(first), bytecode=True), unpacked(Path(second), bytecode=False)
        validate = event("validate", large.ids[0], query={"user_id": large.students(0)[0], "role": "student"})
        variants = _compared(room, task, plain)
        variants |= {
            name: partial(first_answer, name, make, _url(room), task)
            for name, make in events(room).items()
            if name != VALIDATE
        }
        variants |= {
            EMPTY: partial(start, "pass", _url(room), task),
            f"validate, {many:,} sessions": partial(first_answer, "validate", lambda: validate, _url(large), task),
        }
        found = interleaved(with_rounds(effort), variants)
        slow = interleaved(with_rounds(effort), _compared(room, task, plain, share)) if share else {}
    return _section(found, slow)


def _compared(room: Classrooms, task: Path, plain: Path, command: Sequence[str] = ()) -> dict[str, Callable[[], Start]]:
    """peewee, and what the targets are about, with and without bytecode."""
    make = events(room)[VALIDATE]
    return {
        PEEWEE: partial(start, _PEEWEE, _url(room), task, command),
        VALIDATE: partial(first_answer, VALIDATE, make, _url(room), task, command),
        VALIDATE + WITHOUT: partial(first_answer, VALIDATE, make, _url(room), plain, command),
        ON_POSTGRESQL: partial(start, _LOADED, _NOWHERE, task, command),
        ON_POSTGRESQL + WITHOUT: partial(start, _LOADED, _NOWHERE, plain, command),
    }


def _url(room: Classrooms) -> str:
    return f"sqlite:///{room.path}"


def _section(found: dict[str, list[Start]], slow: dict[str, list[Start]]) -> Section:
    tables = [Table("fresh processes, an existing database", _rows(found))]
    notes = [
        "the zip's files for this Python, in a folder for reading only; ratios are of processor time",
        "time: from starting the process to its first answer; memory: its proportional share (Pss) then",
    ]
    if slow:
        tables.append(Table(f"the same with 1/{SHARE} of a processor", _rows(slow)))
        notes.append(f"1/{SHARE}: a control group with a quota in periods of 20 ms, from the start of Python on")
    else:
        notes.append(f"1/{SHARE} of a processor is left out: a control group for it cannot be made (it needs root)")
    return Section("cold", tables, _targets(tables[0].rows), notes)


def _rows(found: dict[str, list[Start]]) -> list[Row]:
    processor = {name: [start.processor for start in starts] for name, starts in found.items()}
    megabytes = {name: [start.megabytes for start in starts] for name, starts in found.items()}
    return [
        {
            "first answer of": name,
            "ms": 1000 * median([start.seconds for start in starts]),
            "processor ms": 1000 * median(processor[name]),
            "/ peewee's": ratio(processor[name], processor[PEEWEE]),
            "MB": median(megabytes[name]),
            "/ peewee's MB": ratio(megabytes[name], megabytes[PEEWEE]),
        }
        for name, starts in found.items()
    ]


def _targets(rows: Sequence[Row]) -> list[Target]:
    functions = [row for row in rows if row["first answer of"] not in (EMPTY, PEEWEE)]
    compiled = [row for row in functions if not row["first answer of"].endswith(WITHOUT)]
    targets = []
    for row in compiled:
        name = row["first answer of"]
        targets.append(at_most(f"{name}: processor time / {PEEWEE}", row["/ peewee's"], _BOUNDS.get(name, _BOUND)))
    on_sqlite = [row for row in compiled if row["first answer of"] != ON_POSTGRESQL]
    targets += [at_most(f"{row['first answer of']}: MB / {PEEWEE}", row["/ peewee's MB"], 1.3) for row in on_sqlite]
    return targets


def with_rounds(effort: Effort) -> Effort:
    """As many rounds as processes are to be started."""
    return Effort(rounds=effort.starts, warm_up=effort.warm_up)


def events(room: Classrooms) -> dict[str, Callable[[], Event]]:
    """For every function what makes an event that it has not had before."""
    student = room.students(0)[0]
    active = count(1)
    body = {"name": "Algebra", "instructor_id": "ms_noether", "student_ids": room.students(0)}
    message = {"type": TYPE, "role": "student", "from_user": student, "content": {"text": "Good morning"}}
    return {
        "create": lambda: event("create", body=body),
        "end": lambda: event("end", room.ids[next(active)]),
        "get": lambda: event("get", room.ids[0]),
        "health": lambda: event("health"),
        "history": lambda: event("history", room.ids[0], query={"limit": 10}),
        "list": lambda: event("list"),
        "store": lambda: event("store", room.ids[0], body=message),
        "validate": lambda: event("validate", room.ids[0], query={"user_id": student, "role": "student"}),
    }


def first_answer(name: str, make: Callable[[], Event], url: str, task: Path, command: Sequence[str] = ()) -> Start:
    """What a fresh process takes to its answer, with this database."""
    return start(_ANSWER.format(name=name, event=make()), url, task, command)


def start(program: str, url: str, task: Path, command: Sequence[str] = ()) -> Start:
    """Run a program in a fresh Python with the modules of this folder alone, until it has answered."""
    environment = os.environ | {variable("database_url"): url, "PYTHONPATH": str(task), "PYTHONDONTWRITEBYTECODE": "1"}
    python = [*command, sys.executable, "-S", "-c", f"{program}\n{_REPORT}"]
    began = time.perf_counter()
    with subprocess.Popen(python, cwd=task, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        answered = process.stdout.read(1)
        seconds = time.perf_counter() - began
        spent, _, memory = process.stdout.read().decode().partition(" ")
    assert answered, program
    assert process.returncode == 0, program
    held = next(line.split()[1] for line in memory.splitlines() if line.startswith("Pss:"))
    return Start(seconds, float(spent), int(held) / 1024)
