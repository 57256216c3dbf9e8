"""The single writer: groups, isolation, deadlines, retries, interruptions, close."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import apsw
import pytest

from shared import errors
from shared.engines import Connection
from shared.engines.sqlite import SqliteEngine
from shared.writer import Later, Write, Writer
from tests.conftest import Freeze

MakeWriter = Callable[..., Writer]
WAIT = 10  # seconds; only reached when something is broken


@pytest.fixture(autouse=True)
def notes(engine: SqliteEngine) -> None:
    """A table to write to."""
    with engine.exclusive(deadline=float("inf")):
        engine.connect().execute("CREATE TABLE notes (text TEXT UNIQUE NOT NULL)")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Callers beside the test's own thread."""
    with ThreadPoolExecutor(32) as threads:
        yield threads


def note(text: str) -> Write[str]:
    """A write that adds a note and returns its text."""

    def write(connection: Connection, repeat: bool) -> str:
        connection.execute("INSERT INTO notes VALUES (?)", (text,))
        return text

    return write


def notes_in(engine: SqliteEngine) -> list[str]:
    """Every note that stands."""
    return [text for (text,) in engine.fetch("SELECT text FROM notes ORDER BY text")]


class Gate:
    """A write that holds the lead until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, connection: Connection, repeat: bool) -> None:
        self.entered.set()
        assert self.open.wait(WAIT)


def waiting(writer: Writer, threads: ThreadPoolExecutor, *writes: Write[str]) -> list[Future[str]]:
    """Queue these writes, in this order."""
    futures = []
    for number, write in enumerate(writes, start=writer.stats()["queued"] + 1):
        futures.append(threads.submit(writer.write, write))
        until(lambda number=number: writer.stats()["queued"] == number)  # type: ignore[misc]
    return futures


def until(condition: Callable[[], bool]) -> None:
    """Wait for a state that another thread is about to reach."""
    pause = threading.Event()
    for _ in range(WAIT * 1000):
        if condition():
            return
        pause.wait(0.001)
    raise AssertionError("the awaited state was not reached")


def test_a_write_is_committed_when_it_returns(engine: SqliteEngine, make_writer: MakeWriter) -> None:
    assert make_writer().write(note("a")) == "a"
    assert notes_in(engine) == ["a"]


def test_a_write_that_raises_leaves_nothing_behind(engine: SqliteEngine, make_writer: MakeWriter) -> None:
    def write(connection: Connection, repeat: bool) -> None:
        note("half")(connection, repeat)
        raise errors.UnauthorizedError

    with pytest.raises(errors.UnauthorizedError):
        make_writer().write(write)
    assert notes_in(engine) == []


def test_what_waits_is_committed_together(
    engine: SqliteEngine, make_writer: MakeWriter, threads: ThreadPoolExecutor
) -> None:
    writer, gate = make_writer(), Gate()
    lead = threads.submit(writer.write, gate)
    gate.entered.wait(WAIT)
    futures = waiting(writer, threads, *(note(str(number)) for number in range(8)))
    gate.open.set()
    lead.result(WAIT)
    assert [future.result(WAIT) for future in futures] == [str(number) for number in range(8)]
    assert writer.stats()["batches"] == 2


def test_one_that_fails_does_not_sink_those_it_shares_a_transaction_with(
    engine: SqliteEngine, make_writer: MakeWriter, threads: ThreadPoolExecutor
) -> None:
    writer, gate = make_writer(), Gate()

    def failing(connection: Connection, repeat: bool) -> str:
        note("half")(connection, repeat)
        raise errors.UnauthorizedError

    threads.submit(writer.write, gate)
    gate.entered.wait(WAIT)
    before, bad, twice, after = waiting(writer, threads, note("a"), failing, note("a"), note("b"))
    gate.open.set()
    assert (before.result(WAIT), after.result(WAIT)) == ("a", "b")
    assert isinstance(bad.exception(WAIT), errors.UnauthorizedError)
    assert isinstance(twice.exception(WAIT), apsw.ConstraintError)
    assert notes_in(engine) == ["a", "b"]


def test_a_write_that_ends_the_transaction_does_not_sink_the_others(
    engine: SqliteEngine, make_writer: MakeWriter, threads: ThreadPoolExecutor
) -> None:
    writer, gate = make_writer(), Gate()

    def ruinous(connection: Connection, repeat: bool) -> str:
        connection.execute("INSERT OR ROLLBACK INTO notes VALUES (NULL)")
        return "never"

    threads.submit(writer.write, gate)
    gate.entered.wait(WAIT)
    before, bad, after = waiting(writer, threads, note("a"), ruinous, note("b"))
    gate.open.set()
    assert (before.result(WAIT), after.result(WAIT)) == ("a", "b")
    assert isinstance(bad.exception(WAIT), apsw.ConstraintError)
    assert notes_in(engine) == ["a", "b"]


def test_a_full_queue_refuses_at_once(make_writer: MakeWriter, threads: ThreadPoolExecutor) -> None:
    writer, gate = make_writer(queue_size=2), Gate()
    threads.submit(writer.write, gate)
    gate.entered.wait(WAIT)
    futures = waiting(writer, threads, note("a"), note("b"))
    with pytest.raises(errors.DatabaseBusyError):
        writer.write(note("c"))
    gate.open.set()
    assert [future.result(WAIT) for future in futures] == ["a", "b"]


def test_a_caller_whose_time_is_up_takes_its_write_back(
    engine: SqliteEngine, make_writer: MakeWriter, threads: ThreadPoolExecutor
) -> None:
    writer, gate = make_writer(write_timeout=0.1), Gate()
    threads.submit(writer.write, gate)
    gate.entered.wait(WAIT)
    with pytest.raises(errors.DatabaseBusyError):
        writer.write(note("late"))
    gate.open.set()
    assert writer.write(note("next")) == "next"
    assert notes_in(engine) == ["next"]


def test_a_caller_whose_time_is_up_during_its_commit_is_told_that_the_outcome_is_unknown(
    engine: SqliteEngine, make_writer: MakeWriter, threads: ThreadPoolExecutor
) -> None:
    writer, gate, slow = make_writer(write_timeout=0.3), Gate(), Gate()
    threads.submit(writer.write, gate)
    gate.entered.wait(WAIT)
    first, behind = waiting(writer, threads, note("late"), slow)  # type: ignore[arg-type]
    gate.open.set()
    slow.entered.wait(WAIT)
    # One of the two leads the batch and cannot leave it; the other one can only stop waiting.
    until(lambda: first.done() or behind.done())
    slow.open.set()
    told = [future.exception(WAIT) for future in (first, behind)]
    assert [type(error) for error in told if error] == [errors.DatabaseTimeoutError]
    assert notes_in(engine) == ["late"]


def test_a_passing_failure_is_tried_once_more_and_then_succeeds(engine: SqliteEngine, make_writer: MakeWriter) -> None:
    attempts = []

    def flaky(connection: Connection, repeat: bool) -> str | Later[str]:
        attempts.append(repeat)
        if len(attempts) == 1:
            raise apsw.BusyError("injected")
        return note("a")(connection, repeat)

    assert make_writer().write(flaky) == "a"
    assert attempts == [False, False]


def test_a_passing_failure_is_tried_no_more_than_once_again(
    make_writer: MakeWriter, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = []

    def busy(connection: Connection, repeat: bool) -> None:
        attempts.append(repeat)
        raise apsw.IOError("injected")

    writer = make_writer()
    with caplog.at_level(logging.WARNING), pytest.raises(errors.DatabaseUnavailableError):
        writer.write(busy)
    assert len(attempts) == 2
    assert writer.stats() | {"queued": 0} == {"queued": 0, "writes": 0, "batches": 0, "retries": 1, "failures": 1}
    assert "another try in 0.05 s" in caplog.text


@pytest.mark.parametrize("failure", [apsw.FullError, apsw.CorruptError, apsw.ReadOnlyError, apsw.ConstraintError])
def test_a_failure_that_cannot_pass_is_not_tried_again(make_writer: MakeWriter, failure: type[apsw.Error]) -> None:
    attempts = []

    def hopeless(connection: Connection, repeat: bool) -> None:
        attempts.append(repeat)
        raise failure("injected")

    with pytest.raises((errors.DatabaseError, apsw.ConstraintError)):
        make_writer().write(hopeless)
    assert len(attempts) == 1


def test_others_are_written_while_one_waits_for_its_retry(
    engine: SqliteEngine, make_writer: MakeWriter, threads: ThreadPoolExecutor
) -> None:
    writer = make_writer(retry_delay=1.0)
    failed = threading.Event()

    def flaky(connection: Connection, repeat: bool) -> str | Later[str]:
        if not failed.is_set():
            failed.set()
            raise apsw.BusyError("injected")
        return note("retried")(connection, repeat)

    slow = threads.submit(writer.write, flaky)
    failed.wait(WAIT)
    for number in range(20):
        writer.write(note(str(number)))
    assert not slow.done()
    assert slow.result(WAIT) == "retried"


def test_the_retry_comes_after_its_delay_under_a_frozen_clock_too(make_writer: MakeWriter, freeze: Freeze) -> None:
    freeze("2026-11-22 07:24:11")
    attempts = []

    def flaky(connection: Connection, repeat: bool) -> str | Later[str]:
        attempts.append(repeat)
        if len(attempts) == 1:
            raise apsw.BusyError("injected")
        return "done"

    assert make_writer().write(flaky) == "done"
    assert len(attempts) == 2


def test_a_commit_whose_outcome_is_unknown_is_repeated_with_a_warning_to_the_write(
    engine: SqliteEngine, make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, repeats = engine.commit, []

    def torn() -> None:
        monkeypatch.setattr(engine, "commit", commit)
        commit()
        failure = errors.DatabaseUnavailableError()
        failure.can_pass = failure.outcome_unknown = True
        raise failure

    def careful(connection: Connection, repeat: bool) -> str | Later[str]:
        repeats.append(repeat)
        return "stands" if repeat else note("once")(connection, repeat)

    monkeypatch.setattr(engine, "commit", torn)
    assert make_writer().write(careful) == "stands"
    assert repeats == [False, True]
    assert notes_in(engine) == ["once"]


def test_a_write_that_may_stand_is_not_reported_as_failed(
    engine: SqliteEngine, make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn() -> None:
        failure = errors.DatabaseUnavailableError()
        failure.can_pass = failure.outcome_unknown = True
        raise failure

    monkeypatch.setattr(engine, "commit", torn)
    with pytest.raises(errors.DatabaseTimeoutError):
        make_writer().write(note("a"))


def test_an_interrupted_leader_leaves_neither_the_lead_nor_the_lock_behind(
    engine: SqliteEngine, make_writer: MakeWriter, threads: ThreadPoolExecutor
) -> None:
    writer, entered, go = make_writer(), threading.Event(), threading.Event()

    def interrupted(connection: Connection, repeat: bool) -> None:
        entered.set()
        go.wait(WAIT)
        raise KeyboardInterrupt

    lead = threads.submit(writer.write, interrupted)
    entered.wait(WAIT)
    futures = waiting(writer, threads, note("a"), note("b"))
    go.set()
    assert isinstance(lead.exception(WAIT), KeyboardInterrupt)
    assert [future.result(WAIT) for future in futures] == ["a", "b"]


def test_close_answers_what_is_queued_and_refuses_what_comes_later(
    engine: SqliteEngine, make_writer: MakeWriter, threads: ThreadPoolExecutor
) -> None:
    writer, gate = make_writer(), Gate()
    threads.submit(writer.write, gate)
    gate.entered.wait(WAIT)
    futures = waiting(writer, threads, *(note(f"{number:02}") for number in range(20)))
    closing = threads.submit(writer.close)
    until(writer._closing.is_set)
    with pytest.raises(errors.DatabaseClosedError):
        writer.write(note("too late"))
    gate.open.set()
    closing.result(WAIT)
    assert [future.result(WAIT) for future in futures] == [f"{number:02}" for number in range(20)]
    assert notes_in(engine) == [f"{number:02}" for number in range(20)]
    writer.close()


def test_close_ends_the_wait_for_a_retry(make_writer: MakeWriter, threads: ThreadPoolExecutor) -> None:
    writer, failed = make_writer(retry_delay=4.0), threading.Event()

    def busy(connection: Connection, repeat: bool) -> None:
        failed.set()
        raise apsw.BusyError("injected")

    future = threads.submit(writer.write, busy)
    failed.wait(WAIT)
    writer.close()
    assert isinstance(future.exception(WAIT), errors.DatabaseBusyError)


def test_many_callers_lose_nothing(engine: SqliteEngine, make_writer: MakeWriter, threads: ThreadPoolExecutor) -> None:
    writer = make_writer()
    texts = [f"{number:04}" for number in range(1000)]
    assert list(threads.map(lambda text: writer.write(note(text)), texts)) == texts
    assert notes_in(engine) == texts
    assert writer.stats()["writes"] == len(texts)
