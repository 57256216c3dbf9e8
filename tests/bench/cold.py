"""Cold start: each function from nothing to its first answer, in a fresh process, and the memory that it holds then."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from shared.config import variable
from tests.bench.containers import Event
from tests.bench.databases import TYPE, Classrooms, classrooms, scratch_copy
from tests.bench.harness import Effort, interleaved, median, ratio
from tests.bench.report import Row, Section, Table, at_most
from tests.conftest import event

EMPTY = "python -c pass"
PEEWEE = "import peewee"
_PEEWEE = "import sys; sys.modules['psycopg'] = None; import peewee"  # alone: it imports every driver that it finds

_ROOT = Path(__file__).parents[2]
_ANSWER = """
from functions.{name} import handler
answer = handler({event!r}, None)
assert answer["statusCode"] < 300, answer
"""
# ru_maxrss begins at the size of the process that started this one; the high-water mark of its own memory does not.
_REPORT = """
import os
os.write(1, b".")
with open("/proc/self/status", "rb") as status:
    os.write(1, status.read())
"""


class Start(NamedTuple):
    """What one fresh process took."""

    seconds: float
    megabytes: float


def run(effort: Effort, folder: Path) -> Section:
    """Every function, beside an empty Python and beside importing peewee alone."""
    few, many = effort.sessions[0], effort.sessions[-1]
    original = classrooms(folder, few, effort.page, few)
    with scratch_copy(original, folder) as room, scratch_copy(classrooms(folder, many), folder) as large:
        variants: dict[str, Callable[[], Start]] = {
            EMPTY: partial(start, "pass", _url(room)),
            PEEWEE: partial(start, _PEEWEE, _url(room)),
        }
        variants |= {name: partial(first_answer, name, make, _url(room)) for name, make in events(room).items()}
        validate = event("validate", large.ids[0], query={"user_id": large.students(0)[0], "role": "student"})
        variants[f"validate, {many:,} sessions"] = partial(first_answer, "validate", lambda: validate, _url(large))
        found = interleaved(with_rounds(effort), variants)
    return _section(found)


def _url(room: Classrooms) -> str:
    return f"sqlite:///{room.path}"


def _section(found: dict[str, list[Start]]) -> Section:
    seconds = {name: [start.seconds for start in starts] for name, starts in found.items()}
    megabytes = {name: [start.megabytes for start in starts] for name, starts in found.items()}
    rows: list[Row] = [
        {
            "first answer of": name,
            "ms": 1000 * median(seconds[name]),
            "/ peewee's time": ratio(seconds[name], seconds[PEEWEE]),
            "MB": median(megabytes[name]),
            "/ peewee's memory": ratio(megabytes[name], megabytes[PEEWEE]),
        }
        for name in found
    ]
    functions = [row for row in rows if row["first answer of"] not in (EMPTY, PEEWEE)]
    targets = [at_most(f"{row['first answer of']}: time / {PEEWEE}", row["/ peewee's time"], 1.5) for row in functions]
    targets += [
        at_most(f"{row['first answer of']}: memory / {PEEWEE}", row["/ peewee's memory"], 1.3) for row in functions
    ]
    notes = ["time: from starting the process to its first answer; memory: the most that it held until then"]
    return Section("cold", [Table("fresh processes, an existing database", rows)], targets, notes)


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


def first_answer(name: str, make: Callable[[], Event], url: str) -> Start:
    """What a fresh process takes to its answer, with this database."""
    return start(_ANSWER.format(name=name, event=make()), url)


def start(program: str, url: str) -> Start:
    """Run a program in a fresh Python until it has answered."""
    environment = os.environ | {variable("database_url"): url}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # warmed up, the packages' and the project's modules are compiled
    command = [sys.executable, "-c", program + _REPORT if program.endswith("\n") else f"{program}\n{_REPORT}"]
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        answered = process.stdout.read(1)
        seconds = time.perf_counter() - began
        status = process.stdout.read().decode()
    assert answered, program
    assert process.returncode == 0, program
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return Start(seconds, int(peak) / 1024)
