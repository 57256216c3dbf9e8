"""Files and folders that may be read and not written."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared import environment
from tests.conftest import Classroom, call, open_classroom
from tests.faults.conftest import MakeDisk
from tests.faults.observing import READS, WRITES, health, refusals, serves, sound, system
from tests.faults.processes import apart

READ_ONLY = {(503, "database_read_only")}
NOBODY = 65534

Protect = Callable[[Path], None]


@pytest.fixture
def protect() -> Iterator[Protect]:
    """Make a file immutable, for root too; it is given free after the test."""
    protected: list[Path] = []

    def make(path: Path) -> None:
        system("chattr", "+i", path)
        protected.append(path)

    yield make
    for path in protected:
        free(path)


def free(path: Path) -> None:
    """Let an immutable file be written again."""
    subprocess.run(["chattr", "-i", str(path)], check=True)


def test_a_read_only_file_at_a_cold_start(classroom: Classroom, database: Path, protect: Protect) -> None:
    texts: list[str] = []
    serves(classroom, texts)
    environment.reset()
    protect(database)
    assert refusals((*WRITES, "end"), classroom) == READ_ONLY
    assert "retry-after" not in call("create").headers
    assert health() == (503, "database is read-only: nothing was written")
    assert refusals(READS, classroom) == set()
    assert classroom.texts() == texts
    free(database)
    serves(classroom, texts)
    sound(database)


def test_a_log_that_becomes_read_only(classroom: Classroom, database: Path, protect: Protect) -> None:
    texts: list[str] = []
    serves(classroom, texts)
    log = database.with_name(database.name + "-wal")
    protect(log)
    assert refusals((*WRITES, "end"), classroom) == READ_ONLY
    assert health() == (503, "database is read-only: nothing was written")
    assert refusals(READS, classroom) == set()
    assert classroom.texts() == texts
    free(log)
    serves(classroom, texts)
    sound(database)


def test_a_file_that_becomes_read_only_under_the_process_loses_nothing(
    classroom: Classroom, database: Path, protect: Protect
) -> None:
    """The log still takes every write; only that it is moved into the file has to wait."""
    protect(database)
    texts = [f"{number} " + "x" * 50_000 for number in range(100)]
    for text in texts:
        classroom.say(text)
    assert classroom.texts() == texts
    free(database)
    serves(classroom, texts)
    sound(database)


def test_a_disk_that_is_mounted_read_only(make_disk: MakeDisk) -> None:
    folder = make_disk(2000)
    room = open_classroom()
    texts: list[str] = []
    serves(room, texts)
    environment.reset()
    system("mount", "-o", "remount,ro", folder)
    assert refusals(WRITES, room) == READ_ONLY
    assert health()[0] == 503
    system("mount", "-o", "remount,rw", folder)
    serves(room, texts)
    sound(folder / "classroom.db")


@pytest.mark.parametrize("log", ["there", "moved into the file"])
def test_a_disk_that_is_read_only_from_the_start(make_disk: MakeDisk, log: str) -> None:
    folder = make_disk(2000)
    room = open_classroom()
    left = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    environment.reset()
    if log == "there":  # as a container that was killed leaves it
        for path, content in left.items():
            path.write_bytes(content)
    system("mount", "-o", "remount,ro", folder)
    assert refusals(WRITES, room) == READ_ONLY
    assert health() == (503, "database is read-only: nothing was written")
    system("mount", "-o", "remount,rw", folder)
    serves(room, [])


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
@pytest.mark.parametrize("log", ["there", "moved into the file"])
def test_a_folder_of_somebody_else(classroom: Classroom, database: Path, log: str) -> None:
    texts = ["first"]
    classroom.say("first")
    refusals(READS)  # and imported what somebody else may not read
    health()
    if log == "moved into the file":
        environment.reset()
    opened = [folder for folder in database.parents if folder.stat().st_mode & 0o5 != 0o5]
    before = {folder: folder.stat().st_mode for folder in opened}
    for folder in opened:
        folder.chmod(0o755)

    def work() -> None:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        refused = refusals(WRITES, classroom)
        assert refused == READ_ONLY
        assert health()[0] == 503
        os.seteuid(0)
        os.setegid(0)
        serves(classroom, texts)

    try:
        environment.reset()
        apart(work)
    finally:
        for folder, mode in before.items():
            folder.chmod(mode)
    sound(database)
