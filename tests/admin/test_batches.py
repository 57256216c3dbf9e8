"""Batches: as large as their time allows, with a pause after each."""

from pathlib import Path

import pytest

from shared.admin.batches import TARGET_SECONDS, Batches, Pace
from shared.config import Settings
from shared.database import writer_of
from shared.engines import Connection, open_engine
from shared.writes import Change


@pytest.fixture
def pace(database: Path) -> Pace:
    """A pace that does not wait."""
    settings = Settings.from_environment()
    return Pace(writer_of(open_engine(settings), settings), lambda seconds: None)


@pytest.mark.parametrize(("share", "factor"), [(1, 1), (0.5, 2), (0.01, 2), (2, 0.5), (1000, 0.25)])
def test_the_next_batch_is_as_large_as_the_last_one_allows(pace: Pace, share: float, factor: float) -> None:
    before = pace.size
    pace.measured(share * TARGET_SECONDS)
    assert pace.size == pytest.approx(before * factor, abs=1)


def test_a_batch_has_a_least_and_a_greatest_size(pace: Pace) -> None:
    for seconds, size in ((10.0, 8 * 1024), (0.0, 256 * 1024)):
        for _ in range(20):
            pace.measured(seconds)
        assert pace.size == size


def test_nothing_is_written_for_as_long_as_the_batch_took(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, pauses, now = Settings.from_environment(), list[float](), [100.0]
    writer = writer_of(open_engine(settings), settings)

    def write(connection: Connection, repeat: bool) -> str:
        now[0] += 0.25
        return "written"

    monkeypatch.setattr("shared.clock.elapsed", lambda: now[0])
    assert Pace(writer, pauses.append).write(Change(write)) == "written"
    assert pauses == [0.25]


def test_steps_are_written_together_until_a_batch_is_full(pace: Pace) -> None:
    written = list[list[str]]()
    batches = Batches[str](pace, written.append)
    half = pace.size // 2
    for step in "abc":
        batches.add(step, half)
    assert written == [["a", "b"]]
    batches.make_room(half)
    assert written == [["a", "b"]]
    batches.make_room(half + 2)
    batches.flush()
    assert written == [["a", "b"], ["c"]]
