"""No space left: as a limit to the size of a process's files, and as a small disk."""

import resource
from pathlib import Path
from typing import Any

import pytest

from shared import environment
from tests.conftest import Classroom, call, message_body, open_classroom
from tests.faults.conftest import MakeDisk
from tests.faults.observing import READS, WRITES, health, refusals, serves, sound
from tests.faults.processes import apart

FULL = {(503, "database_full")}


def limit_files(size: int) -> None:
    """Let no file of this process grow beyond `size`, or let them grow again (-1)."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def talk_until_refused(room: Classroom, texts: list[str]) -> tuple[int, object]:
    """Store until that fails; `texts` becomes what was acknowledged."""
    for number in range(10_000):
        text = f"{number} " + "x" * 4000
        answer = call("store", room.id, body=message_body(content={"text": text}))
        if answer.status != 201:
            return answer.refusal
        texts.append(text)
    raise AssertionError("the disk was never full")


def fill_up(room: Classroom, texts: list[str]) -> tuple[int, object]:
    """Store until that fails, and then until what needs less room than a message fails too."""
    refusal = talk_until_refused(room, texts)
    for _ in range(20):
        if health()[0] != 200:
            break
    return refusal


def log_of(database: Path) -> Path:
    """The write-ahead log."""
    return database.with_name(database.name + "-wal")


def test_files_that_may_not_grow(database: Path) -> None:
    def work() -> None:
        room, texts = open_classroom(), ["first"]
        room.say("first")
        limit_files(log_of(database).stat().st_size + 100_000)
        assert fill_up(room, texts) in FULL
        assert len(texts) > 3
        assert refusals(WRITES, room) == FULL
        assert call("create").headers["retry-after"] == "60"
        assert health() == (503, "database storage is full: nothing was written")
        assert refusals(READS, room) == set()
        assert room.texts() == texts
        limit_files(-1)
        serves(room, texts)
        environment.reset()
        serves(room, texts)

    apart(work)
    sound(database)


def test_a_commit_that_finds_no_room_is_no_unknown_outcome(database: Path) -> None:
    """With FULL the commit record is synchronised: what could not be written must still not be called unknown."""

    def work() -> None:
        room, texts = open_classroom(), list[str]()
        limit_files(log_of(database).stat().st_size + 20_000)
        assert talk_until_refused(room, texts) in FULL
        limit_files(-1)
        serves(room, texts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWITCHBOARD_SYNCHRONOUS", "FULL")
        apart(work)


@pytest.mark.parametrize("size", [0, 100, 4096, 8192, 20_000, 32_768, 40_000, 70_000])
def test_a_cold_start_without_room_leaves_nothing_that_counts_as_a_loss(database: Path, size: int) -> None:
    def work() -> list[Any]:
        limit_files(size)
        refused = [list(call("create").refusal), list(health())]
        limit_files(-1)
        serves(open_classroom(), [])
        return refused

    assert apart(work) == [
        [503, "database_full"],
        [503, "database storage is full: nothing was written"],
    ]
    sound(database)


def test_a_small_disk(make_disk: MakeDisk) -> None:
    folder = make_disk(600)
    room, texts = open_classroom(), list[str]()
    filler = folder / "filler"
    filler.write_bytes(bytes(200_000))
    assert fill_up(room, texts) in FULL
    assert health() == (503, "database storage is full: nothing was written")
    assert refusals(WRITES, room) == FULL
    assert room.texts() == texts
    filler.unlink()
    serves(room, texts)
    sound(folder / "classroom.db")


@pytest.mark.parametrize("size", [4, 8, 32, 40, 64])
def test_a_cold_start_on_a_full_disk(make_disk: MakeDisk, size: int) -> None:
    folder = make_disk(1000)
    filler = folder / "filler"
    filler.write_bytes(bytes((1000 - size) * 1024))
    assert refusals(WRITES) == FULL
    assert health() == (503, "database storage is full: nothing was written")
    filler.unlink()
    serves(open_classroom(), [])
    environment.reset()
    serves(open_classroom(), [])
    sound(folder / "classroom.db")
