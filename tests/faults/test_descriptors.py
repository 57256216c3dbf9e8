"""Too many open files."""

import copy
import os
import resource
from pathlib import Path

import pytest

from shared import environment
from tests.conftest import Classroom, call, golden
from tests.faults.observing import READS, WRITES, bytes_of, health, overwrite, refusals, serves
from tests.faults.processes import apart

UNAVAILABLE = {(503, "database_unavailable")}


@pytest.fixture(autouse=True)
def read_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the golden events, and import the functions, while files may be opened."""
    events = {name: golden(name) for name in (*READS, *WRITES, "health")}
    monkeypatch.setattr("tests.conftest.golden", lambda name: copy.deepcopy(events[name]))
    refusals((*READS, *WRITES))
    health()


def allow_files(more: int | None) -> None:
    """Let this process open so many files beside those that it has open; None for as many as ever."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = {number for number in range(1000) if is_open(number)}
    free = [number for number in range(len(used) + 100) if number not in used]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if more is None else free[more], hard))


def is_open(number: int) -> bool:
    """Whether a file descriptor is in use, asked without one."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_too_many_open_files_at_a_cold_start(classroom: Classroom) -> None:
    classroom.say("first")
    environment.reset()

    def work() -> None:
        for more in range(4):
            allow_files(more)
            assert refusals(READS + WRITES, classroom) == UNAVAILABLE
            assert call("create").headers["retry-after"] == "5"
            assert health() == (503, "database is unavailable")
            allow_files(None)
            environment.reset()
        serves(classroom, ["first"])

    apart(work)


def test_too_many_open_files_in_a_warm_container(classroom: Classroom) -> None:
    """What is open goes on; the health check, which opens a connection, tells that nothing more can be."""
    environment.reset()

    def work() -> None:
        texts = ["first"]
        classroom.say("first")
        serves(classroom, texts)
        allow_files(0)
        assert health() == (503, "database is unavailable")
        texts.append("meanwhile")
        classroom.say("meanwhile")
        assert refusals(READS + WRITES, classroom) == set()
        allow_files(None)
        texts.append("Good morning")
        serves(classroom, texts)

    apart(work)


def test_cold_starts_that_fail_leave_no_file_open(classroom: Classroom, database: Path) -> None:
    environment.reset()
    content = bytes_of(database)
    overwrite(database, 0, bytes(100))
    refusals(READS + WRITES)
    before = sum(map(is_open, range(1000)))
    for _ in range(10):
        assert refusals(READS + WRITES) == {(503, "database_corrupt")}
    assert sum(map(is_open, range(1000))) <= before
    overwrite(database, 0, content)
    serves(classroom, [])
