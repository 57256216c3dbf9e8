"""Damaged pages and headers: reported as damage, never replaced, and usable again after a repair."""

import random
from pathlib import Path

import pytest

from shared import environment
from tests.conftest import Classroom, call
from tests.faults.observing import READS, WRITES, bytes_of, health, overwrite, refusals, serves, sound

CORRUPT = {(503, "database_corrupt")}
DAMAGED = (503, "database is damaged or not a database")
PAGE = 4096

NOISE = random.Random(1).randbytes(PAGE)


@pytest.fixture
def texts(classroom: Classroom, database: Path) -> list[str]:
    """What was said, all of it in the database file and none in the log."""
    texts = [f"{number} " + "x" * 2000 for number in range(40)]
    for text in texts:
        classroom.say(text)
    environment.reset()
    assert not database.with_name(database.name + "-wal").exists()
    return texts


def page_with(content: bytes, text: str) -> int:
    """Where the page begins that holds a text, or its beginning."""
    return content.index(f'"{text[:20]}'.encode()) // PAGE * PAGE


@pytest.mark.parametrize("warm_readers", [False, True], ids=["cold", "warm"])
def test_a_damaged_page(classroom: Classroom, texts: list[str], database: Path, *, warm_readers: bool) -> None:
    content = bytes_of(database)
    page = page_with(content, texts[20])
    if warm_readers:
        assert health() == (200, "connected")
    overwrite(database, page, NOISE)
    assert refusals(("history",), classroom) == CORRUPT
    assert "retry-after" not in call("history", classroom.id).headers
    assert health() == DAMAGED
    assert health() == DAMAGED
    assert refusals(("validate", "get"), classroom) == set()  # what does not need that page goes on
    assert bytes_of(database)[page : page + PAGE] == NOISE  # it is not touched, nor is a new file made
    overwrite(database, page, content[page : page + PAGE])
    serves(classroom, texts)
    sound(database)


def test_a_damaged_page_loses_nothing_that_is_acknowledged_meanwhile(
    classroom: Classroom, texts: list[str], database: Path
) -> None:
    content = bytes_of(database)
    page = page_with(content, texts[3])
    overwrite(database, page, NOISE)
    assert refusals(("history",), classroom) == CORRUPT
    for number in range(20):
        text = f"meanwhile {number}"
        if classroom.store(content={"text": text}).status == 201:
            texts.append(text)
    assert health() == DAMAGED
    overwrite(database, page, content[page : page + PAGE])
    serves(classroom, texts)
    sound(database)


def test_a_damaged_header_at_a_cold_start(classroom: Classroom, texts: list[str], database: Path) -> None:
    content = bytes_of(database)
    overwrite(database, 0, NOISE[:100])
    assert refusals(READS + WRITES + ("end",), classroom) == CORRUPT
    assert health() == DAMAGED
    assert bytes_of(database) == NOISE[:100] + content[100:]
    overwrite(database, 0, content[:100])
    serves(classroom, texts)
    sound(database)


def test_a_header_that_is_damaged_under_the_process(classroom: Classroom, texts: list[str], database: Path) -> None:
    assert classroom.texts() == texts
    content = bytes_of(database)
    overwrite(database, 0, NOISE[:100])
    assert health() == DAMAGED  # which opens a connection of its own; what is warm has not looked since
    assert refusals(READS + WRITES, classroom) == CORRUPT
    overwrite(database, 0, content[:100])
    serves(classroom, texts)
    sound(database)


def test_a_log_full_of_noise_is_not_taken_for_writes(classroom: Classroom, texts: list[str], database: Path) -> None:
    database.with_name(database.name + "-wal").write_bytes(NOISE * 10)
    serves(classroom, texts)
    sound(database)
