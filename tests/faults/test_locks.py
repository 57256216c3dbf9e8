"""Locks that others hold: foreign programs, and processes of the service that were frozen with them."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import pytest

from shared import clock, environment
from shared.config import Settings
from shared.engines.sqlite.engine import SqliteEngine
from shared.engines.sqlite.waiting_line import open_line
from tests.conftest import Classroom, Freeze, at_once, call, open_classroom
from tests.faults.observing import BUSY_TIMEOUT, READS, SOON, WRITES, health, refusals, serves, sound
from tests.faults.processes import TIMEOUT, Child, Report

BUSY = {(503, "database_busy")}
BUSY_HEALTH = (503, "database is busy: nothing was written, try again")


@contextmanager
def foreign_lock(database: Path, seconds: float = 60.0, *, exclusive: bool = False) -> Iterator[None]:
    """Another program holds SQLite's write lock for so long; an exclusive one keeps readers out too."""

    def hold(report: Report) -> None:
        connection = apsw.Connection(str(database))
        if exclusive:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE session_counts SET sessions = sessions + 1")
        report("held")
        time.sleep(seconds)  # the outage
        connection.execute("ROLLBACK")
        connection.close()

    with Child(hold) as child:
        assert child.report() == "held"
        yield


@contextmanager
def container_in_a_write(database: Path) -> Iterator[Child]:
    """A process that holds the lock across processes, and commits when it gets SIGCONT."""

    def hold(report: Report) -> None:
        engine = SqliteEngine(Settings(database_url=f"sqlite:///{database}"))
        connection = engine.begin(clock.elapsed() + 10)
        connection.execute("UPDATE sessions SET name = 'renamed by another container'")
        report("held")
        time.sleep(0.5)  # it is stopped here, and commits only some time after it goes on
        engine.commit()
        engine.release()
        report("committed")

    with Child(hold) as child:
        assert child.report() == "held"
        child.stop()
        yield child


def until_in_line(database: Path) -> None:
    """Wait until a process waits for the lock across processes."""
    deadline = time.monotonic() + TIMEOUT
    with closing(open_line(f"{database}-line")) as line:
        while line.is_empty():
            assert time.monotonic() < deadline
            time.sleep(0.001)


def writer_stats() -> dict[str, int]:
    """What this container's writer did."""
    return environment.current().database.writer_stats()


def test_a_foreign_lock_for_less_than_the_timeout_is_waited_for(classroom: Classroom, database: Path) -> None:
    with foreign_lock(database, BUSY_TIMEOUT / 2):
        classroom.say("late")
    assert classroom.texts() == ["late"]
    assert writer_stats()["retries"] == 0


def test_a_foreign_lock_for_longer_is_told_and_costs_readers_nothing(classroom: Classroom, database: Path) -> None:
    texts: list[str] = []
    serves(classroom, texts)
    with foreign_lock(database):
        started = time.monotonic()
        assert refusals((*WRITES, "end"), classroom) == BUSY
        assert time.monotonic() - started >= 3 * 2 * BUSY_TIMEOUT  # three writes, each tried once more
        assert call("create").headers["retry-after"] == "1"
        started = time.monotonic()
        assert refusals(READS, classroom) == set()
        assert classroom.texts() == texts
        assert time.monotonic() - started < SOON
        assert health() == BUSY_HEALTH
    serves(classroom, texts)
    sound(database)


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_a_lock_that_keeps_readers_out_is_told_in_time(classroom: Classroom, database: Path, *, cold: bool) -> None:
    classroom.say("first")
    environment.reset()
    if not cold:
        database_manager = environment.current().database
        database_manager.count_active_sessions()
        database_manager._engine._connections.close_readers()  # type: ignore[attr-defined]  # or nobody gets the lock
    with foreign_lock(database, exclusive=True):
        assert refusals(READS + WRITES, classroom) == BUSY
        assert health() == BUSY_HEALTH
    serves(classroom, ["first"])


def test_the_retry_comes_once_after_its_delay_under_a_frozen_clock(
    classroom: Classroom, database: Path, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_RETRY_DELAY_SECONDS", "0.6")
    monkeypatch.setenv("SWITCHBOARD_BUSY_TIMEOUT_MS", "100")
    environment.reset()
    assert refusals(("list",)) == set()
    freeze("2036-11-22 07:24:11")  # later than the session began
    with foreign_lock(database, 0.4):  # longer than the timeout, shorter than that and the delay
        started = clock.elapsed()
        message = classroom.say("on the second try")
        assert clock.elapsed() - started >= 0.7
    assert message["timestamp"] == "2036-11-22T07:24:11.000000Z"
    assert classroom.texts() == ["on the second try"]
    assert writer_stats() | {"queued": 0} == {"queued": 0, "writes": 1, "batches": 1, "retries": 1, "failures": 0}


def test_there_is_no_third_try(classroom: Classroom, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_RETRY_DELAY_SECONDS", "0.1")
    monkeypatch.setenv("SWITCHBOARD_BUSY_TIMEOUT_MS", "100")
    environment.reset()
    with foreign_lock(database, 0.9):
        assert classroom.store().refusal in BUSY
    assert (writer_stats()["retries"], writer_stats()["failures"]) == (1, 1)
    assert classroom.history() == []


def test_no_retry_begins_that_could_not_end_in_time(
    classroom: Classroom, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_RETRY_DELAY_SECONDS", "30")
    monkeypatch.setenv("SWITCHBOARD_WRITE_TIMEOUT_SECONDS", "1")
    environment.reset()
    with foreign_lock(database):
        started = time.monotonic()
        assert classroom.store().refusal in BUSY
        assert time.monotonic() - started < 30  # the delay of the retry
    assert writer_stats()["retries"] == 0


def test_a_container_frozen_in_a_write_is_told_as_busy_until_it_is_killed(classroom: Classroom, database: Path) -> None:
    texts: list[str] = []
    serves(classroom, texts)
    name = classroom.ask("get").body["session"]["name"]
    with container_in_a_write(database) as frozen:
        assert refusals(WRITES, classroom) == BUSY
        assert refusals(READS, classroom) == set()
        assert health() == BUSY_HEALTH
        frozen.kill()
        serves(classroom, texts)
    assert classroom.ask("get").body["session"]["name"] == name
    sound(database)


def test_a_container_frozen_in_a_write_finishes_it_when_it_goes_on(classroom: Classroom, database: Path) -> None:
    texts: list[str] = []
    serves(classroom, texts)
    with container_in_a_write(database) as frozen:
        assert refusals(("store",), classroom) == BUSY
        frozen.go_on()
        assert frozen.report() == "committed"
        serves(classroom, texts)
    environment.reset()
    assert classroom.ask("get").body["session"]["name"] == "renamed by another container"
    sound(database)


def test_everybody_who_waits_for_a_frozen_container_is_told_at_the_deadline(
    classroom: Classroom, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_WRITE_TIMEOUT_SECONDS", "1")
    environment.reset()
    with container_in_a_write(database):
        started = time.monotonic()
        answers = at_once(8, lambda number: open_or_not(number))
        assert time.monotonic() - started < SOON
    assert set(answers) == BUSY
    serves(classroom, [])
    assert call("list", query={"limit": 1000}).body["total_count"] == 2  # the classroom and the one just created


def open_or_not(number: int) -> tuple[int, object]:
    """Try to create a session."""
    return call("create").refusal


def test_a_container_killed_while_it_waits_holds_nobody_up(classroom: Classroom, database: Path) -> None:
    texts: list[str] = []
    serves(classroom, texts)

    def wait_in_line(report: Report) -> None:
        engine = SqliteEngine(Settings(database_url=f"sqlite:///{database}"))
        report("waiting")
        engine.begin(clock.elapsed() + 60)

    with container_in_a_write(database) as holder, Child(wait_in_line) as waiting:
        waiting.report()
        until_in_line(database)
        waiting.kill()
        holder.kill()
        started = time.monotonic()
        texts.append("at once")
        classroom.say("at once")
        assert time.monotonic() - started < SOON
    serves(classroom, texts)


def test_a_container_frozen_while_it_waits_holds_nobody_up(classroom: Classroom, database: Path) -> None:
    texts: list[str] = []
    serves(classroom, texts)

    def wait_in_line(report: Report) -> None:
        report("waiting")
        room = open_classroom()
        report(room.id)

    with container_in_a_write(database) as holder, Child(wait_in_line) as waiting:
        waiting.report()
        until_in_line(database)
        waiting.stop()
        holder.kill()
        serves(classroom, texts)
        waiting.go_on()
        assert call("get", waiting.report()).status == 200
    sound(database)


def test_health_answers_in_its_own_time_and_not_in_a_writers(
    classroom: Classroom, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_BUSY_TIMEOUT_MS", "8000")
    environment.reset()
    assert refusals(READS, classroom) == set()
    with container_in_a_write(database):
        assert health() == BUSY_HEALTH
    serves(classroom, [])
