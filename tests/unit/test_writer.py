"""The single writer: groups, isolation, deadlines, retries, interruptions, close."""

import itertools
import logging
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from shared import clock, errors
from shared.engines import Connection, Engine
from shared.writer import Deferred, Write, Writer
from tests.conftest import Freeze
from tests.storage import Storage
from tests.unit.gates import WAIT, Gate, held, until

MakeWriter = Callable[..., Writer]


@pytest.fixture(autouse=True)
def notes(engine: Engine, storage: Storage) -> Iterator[None]:
    """A table to write to."""
    storage.run("CREATE TABLE notes (text TEXT UNIQUE NOT NULL)")
    yield
    storage.run("DROP TABLE notes")
    storage.changed = False  # the next test may have it


def note(text: str) -> Write[str]:
    """A write that adds a note and returns its text."""

    def write(connection: Connection, repeat: bool) -> str:
        connection.execute(f"INSERT INTO notes VALUES ('{text}')")
        return text

    return write


def impossible(connection: Connection, repeat: bool) -> str:
    """A write that the database refuses, for a reason that is no matter of its state."""
    connection.execute("INSERT INTO notes VALUES (NULL)")
    return "never"


def passing() -> errors.DatabaseError:
    """A failure that can pass."""
    failure = errors.DatabaseUnavailableError("injected")
    failure.can_pass = True
    return failure


def transient(*, outcome_unknown: bool = False) -> errors.DatabaseError:
    """A race that was lost, or a connection."""
    failure = errors.DatabaseBusyError("injected")
    failure.transient, failure.outcome_unknown = True, outcome_unknown
    return failure


def notes_in(engine: Engine) -> list[str]:
    """Every note that is committed."""
    return [text for (text,) in engine.fetch("SELECT text FROM notes ORDER BY text")]


def waiting(writer: Writer, threads: ThreadPoolExecutor, *writes: Write[str], **how: Any) -> list[Future[str]]:
    """Queue these writes, in this order."""
    futures = []
    for number, write in enumerate(writes, start=writer.stats()["queued"] + 1):
        futures.append(threads.submit(lambda write=write: writer.write(write, **how)))  # type: ignore[misc]
        until(lambda number=number: writer.stats()["queued"] == number)  # type: ignore[misc]
    return futures


def test_a_write_is_committed_when_it_returns(engine: Engine, make_writer: MakeWriter) -> None:
    assert make_writer().write(note("a")) == "a"
    assert notes_in(engine) == ["a"]


def test_a_write_that_raises_leaves_nothing_behind(engine: Engine, make_writer: MakeWriter) -> None:
    def write(connection: Connection, repeat: bool) -> None:
        note("half")(connection, repeat)
        raise errors.UnauthorizedError

    with pytest.raises(errors.UnauthorizedError):
        make_writer().write(write)
    assert notes_in(engine) == []


def test_what_waits_is_committed_together(engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor) -> None:
    writer = make_writer()
    go = held(writer, threads)
    futures = waiting(writer, threads, *(note(str(number)) for number in range(8)))
    go.set()
    assert [future.result(WAIT) for future in futures] == [str(number) for number in range(8)]
    assert writer.stats()["batches"] == 2


@pytest.mark.parametrize("failure", [errors.UnauthorizedError, ValueError])
def test_one_that_fails_does_not_sink_those_it_shares_a_transaction_with(
    engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor, failure: type[Exception]
) -> None:
    writer = make_writer()

    def failing(connection: Connection, repeat: bool) -> str:
        if failure is ValueError:  # a fault of the service's, at any place; its own errors come first
            note("half")(connection, repeat)
        raise failure

    go = held(writer, threads)
    before, bad, worse, after = waiting(writer, threads, note("a"), failing, impossible, note("b"))
    go.set()
    assert (before.result(WAIT), after.result(WAIT)) == ("a", "b")
    assert isinstance(bad.exception(WAIT), failure)
    assert isinstance(worse.exception(WAIT), apsw.ConstraintError | psycopg.errors.NotNullViolation)
    assert notes_in(engine) == ["a", "b"]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_refusal_does_not_cost_the_others_their_batch(
    engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor, place: int
) -> None:
    writer, ran = make_writer(), list[str]()

    def counted(text: str) -> Write[str]:
        def write(connection: Connection, repeat: bool) -> str | Deferred[str]:
            ran.append(text)
            return note(text)(connection, repeat)

        return write

    def refused(connection: Connection, repeat: bool) -> str:
        notes = connection.execute("SELECT text FROM notes WHERE text = 'no such note'").fetchall()
        raise errors.SessionNotFoundError(str(notes))

    writes = [counted("a"), counted("b")]
    writes.insert(place, refused)
    go = held(writer, threads)
    futures = waiting(writer, threads, *writes)
    go.set()
    told = [future.exception(WAIT) for future in futures]
    assert [type(error) for error in told if error] == [errors.SessionNotFoundError]
    assert ran == ["a", "b"]
    assert notes_in(engine) == ["a", "b"]
    assert writer.stats()["batches"] == 2


def test_without_savepoints_a_fault_undoes_the_batch_and_the_others_are_written_alone(
    postgres: Storage, engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor
) -> None:
    writer, transactions = make_writer(), dict[str, list[object]]()

    def noted(text: str, fault: type[Exception] | None = None) -> Write[str]:
        def write(connection: Connection, repeat: bool) -> str:
            assert not repeat
            transactions.setdefault(text, []).extend(connection.execute("SELECT pg_current_xact_id()::text").fetchall())
            note(text)(connection, repeat)
            if fault is not None:
                raise fault
            return text

        return write

    go = held(writer, threads)
    futures = waiting(writer, threads, noted("a"), noted("bad", ValueError), noted("b"))
    go.set()
    assert [type(future.exception(WAIT)) for future in futures] == [type(None), ValueError, type(None)]
    assert notes_in(engine) == ["a", "b"]
    assert transactions["a"][0] == transactions["bad"][0]
    assert [len(transactions[text]) for text in ("a", "bad", "b")] == [2, 2, 1]  # "b" was not reached at first
    assert len({transactions[text][-1] for text in ("a", "bad", "b")}) == 3


def test_a_write_that_ends_the_transaction_does_not_sink_the_others(
    database: Path, engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor
) -> None:
    writer = make_writer()

    def ruinous(connection: Connection, repeat: bool) -> str:
        connection.execute("INSERT OR ROLLBACK INTO notes VALUES (NULL)")
        return "never"

    go = held(writer, threads)
    before, bad, after = waiting(writer, threads, note("a"), ruinous, note("b"))
    go.set()
    assert (before.result(WAIT), after.result(WAIT)) == ("a", "b")
    assert isinstance(bad.exception(WAIT), apsw.ConstraintError)
    assert notes_in(engine) == ["a", "b"]


def test_writes_of_a_batch_lock_in_their_order(make_writer: MakeWriter, threads: ThreadPoolExecutor) -> None:
    writer, ran = make_writer(), list[str]()

    def noticed(order: str) -> Write[str]:
        def write(connection: Connection, repeat: bool) -> str | Deferred[str]:
            ran.append(order)
            return order

        return write

    go = held(writer, threads)
    futures = [waiting(writer, threads, noticed(order), order=order)[0] for order in ("3", "1", "4", "2")]
    go.set()
    assert [future.result(WAIT) for future in futures] == ["3", "1", "4", "2"]
    assert ran == ["1", "2", "3", "4"]
    assert writer.stats()["batches"] == 2


def test_what_is_read_later_is_read_after_the_commit(engine: Engine, make_writer: MakeWriter) -> None:
    def write(connection: Connection, repeat: bool) -> list[str] | Deferred[list[str]]:
        note("a")(connection, repeat)
        assert notes_in(engine) == []
        return Deferred(lambda: notes_in(engine))

    assert make_writer().write(write) == ["a"]


def test_a_reading_that_fails_is_told_to_its_caller_alone(
    engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor
) -> None:
    writer = make_writer()

    def ended() -> str:
        raise errors.SessionEndedError

    def write(connection: Connection, repeat: bool) -> str | Deferred[str]:
        return Deferred(ended)

    go = held(writer, threads)
    refused, fine = waiting(writer, threads, write, note("a"))
    go.set()
    assert isinstance(refused.exception(WAIT), errors.SessionEndedError)
    assert fine.result(WAIT) == "a"
    with pytest.raises(errors.SessionEndedError):
        writer.write(write)
    assert notes_in(engine) == ["a"]


@pytest.fixture
def singles(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Grows with each batch for which the engine was told that it is a single write."""
    told: list[bool] = []
    single = engine.allow_autocommit

    def noticed() -> None:
        told.append(True)
        single()

    monkeypatch.setattr(engine, "allow_autocommit", noticed)
    return told


def test_a_lone_atomic_write_is_its_own_transaction(
    engine: Engine, make_writer: MakeWriter, singles: list[bool]
) -> None:
    writer = make_writer()
    assert writer.write(note("a"), atomic=True) == "a"
    assert singles == [True]
    assert writer.write(note("b")) == "b"
    assert singles == [True]
    assert notes_in(engine) == ["a", "b"]


def test_atomic_writes_in_company_share_a_transaction(
    engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor, singles: list[bool]
) -> None:
    writer = make_writer()
    go = held(writer, threads)
    futures = waiting(writer, threads, note("a"), note("b"), atomic=True)
    go.set()
    assert [future.result(WAIT) for future in futures] == ["a", "b"]
    assert (writer.stats()["batches"], singles) == (2, [])


def test_a_repeat_is_not_a_single_statement(make_writer: MakeWriter, singles: list[bool]) -> None:
    repeats = []

    def lost(connection: Connection, repeat: bool) -> str:
        repeats.append(repeat)
        if not repeat:
            raise transient(outcome_unknown=True)
        return "stands"

    assert make_writer().write(lost, atomic=True) == "stands"
    assert (repeats, singles) == ([False, True], [True])


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
    engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor
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
    engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor
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


def test_a_caller_whose_time_is_up_does_not_wait_any_longer(
    make_writer: MakeWriter, threads: ThreadPoolExecutor
) -> None:
    writer = make_writer()
    opened, started = held(writer, threads), clock.elapsed()
    for _ in range(30):
        with pytest.raises(errors.DatabaseBusyError):
            writer.write(note("late"), timeout=0.0)
    assert clock.elapsed() - started < WAIT  # a second for each would be 30
    opened.set()


def test_a_write_that_was_committed_when_its_time_was_up_returns_its_result(
    engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, gate, answered = make_writer(), Gate(), threading.Event()
    opened = held(writer, threads)
    first = waiting(writer, threads, gate)  # type: ignore[arg-type]
    late = threads.submit(lambda: writer.write(note("late"), timeout=0.2))
    until(lambda: writer.stats()["queued"] == 2)
    opened.set()
    assert gate.entered.wait(WAIT)
    monkeypatch.setattr(engine, "maintain", answered.set)
    with writer._mutex:  # the caller's time is up while the leader commits
        assert not late.done()
        threading.Event().wait(0.3)
        gate.open.set()
        assert answered.wait(WAIT)
    assert late.result(WAIT) == "late"
    assert first[0].exception(WAIT) is None


def test_a_passing_failure_is_tried_once_more_and_then_succeeds(engine: Engine, make_writer: MakeWriter) -> None:
    attempts = []

    def flaky(connection: Connection, repeat: bool) -> str | Deferred[str]:
        attempts.append(repeat)
        if len(attempts) == 1:
            raise passing()
        return note("a")(connection, repeat)

    assert make_writer().write(flaky) == "a"
    assert attempts == [False, False]


def test_a_passing_failure_is_tried_no_more_than_once_again(
    make_writer: MakeWriter, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = []

    def busy(connection: Connection, repeat: bool) -> None:
        attempts.append(repeat)
        raise passing()

    writer = make_writer()
    with caplog.at_level(logging.WARNING), pytest.raises(errors.DatabaseUnavailableError):
        writer.write(busy)
    assert len(attempts) == 2
    assert writer.stats() | {"queued": 0} == {"queued": 0, "writes": 0, "batches": 0, "retries": 1, "failures": 1}
    assert "another try in 0.05 s" in caplog.text


@pytest.mark.parametrize("failure", [apsw.BusyError, apsw.LockedError, apsw.IOError])
def test_what_can_pass_in_a_file(database: Path, make_writer: MakeWriter, failure: type[apsw.Error]) -> None:
    attempts = []

    def flaky(connection: Connection, repeat: bool) -> str:
        attempts.append(repeat)
        if len(attempts) == 1:
            raise failure("injected")
        return "done"

    assert make_writer().write(flaky) == "done"


HOPELESS_IN_A_FILE = [apsw.FullError, apsw.CorruptError, apsw.ReadOnlyError, apsw.ConstraintError]
HOPELESS_ON_A_SERVER = [
    psycopg.errors.DiskFull,
    psycopg.errors.DataCorrupted,
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.UndefinedTable,
    psycopg.errors.CheckViolation,
]


@pytest.mark.parametrize("failure", HOPELESS_IN_A_FILE)
def test_what_cannot_pass_in_a_file(database: Path, make_writer: MakeWriter, failure: type[Exception]) -> None:
    assert attempts_at(make_writer(), failure("injected")) == 1


@pytest.mark.parametrize("failure", HOPELESS_ON_A_SERVER)
def test_what_cannot_pass_on_a_server(postgres: Storage, make_writer: MakeWriter, failure: type[Exception]) -> None:
    assert attempts_at(make_writer(), failure("injected")) == 1


def test_the_log_says_what_the_driver_said(
    database: Path, make_writer: MakeWriter, caplog: pytest.LogCaptureFixture
) -> None:
    assert attempts_at(make_writer(), apsw.FullError("said by the driver")) == 1
    assert "(said by the driver)" in caplog.text


def attempts_at(writer: Writer, failure: Exception) -> int:
    """How often a write is tried that always fails like this."""
    attempts = []

    def hopeless(connection: Connection, repeat: bool) -> None:
        attempts.append(repeat)
        raise failure

    with pytest.raises((errors.DatabaseError, type(failure))):
        writer.write(hopeless)
    return len(attempts)


def test_a_lost_race_is_run_again_at_once_with_growing_pauses_until_the_deadline(
    make_writer: MakeWriter, caplog: pytest.LogCaptureFixture
) -> None:
    writer, started = make_writer(write_timeout=0.5, retry_delay=WAIT), clock.elapsed()
    with caplog.at_level(logging.WARNING):
        attempts = attempts_at(writer, transient())
    took = clock.elapsed() - started
    pauses = [float(text) for text in re.findall(r"another try in (\S+) s", caplog.text)]
    assert pauses[0] == 0.0
    assert all(0.005 * 2**number <= pause <= 0.01 * 2**number for number, pause in enumerate(pauses[1:]))
    assert sum(pauses) <= took + 0.005  # the log has three digits of each
    assert took + 0.01 * 2 ** (len(pauses) - 1) >= 0.5  # it stops when the next pause would end behind the deadline
    assert writer.stats()["retries"] == len(pauses) == attempts - 1 >= 3


def test_a_pause_that_would_end_behind_the_deadline_is_not_made(make_writer: MakeWriter) -> None:
    assert attempts_at(make_writer(retry_delay=0.6, write_timeout=0.5), passing()) == 1


def test_a_lost_race_that_is_won_is_no_failure(make_writer: MakeWriter) -> None:
    writer, attempts = make_writer(retry_delay=WAIT), itertools.count(1)

    def flaky(connection: Connection, repeat: bool) -> int:
        assert not repeat
        attempt = next(attempts)
        if attempt < 4:
            raise transient()
        return attempt

    assert writer.write(flaky) == 4
    assert (writer.stats()["retries"], writer.stats()["failures"]) == (3, 0)


def test_a_write_that_may_stand_when_the_time_is_up_is_not_reported_as_failed(make_writer: MakeWriter) -> None:
    outcomes = itertools.chain([True], itertools.repeat(False))  # unknown once is unknown for good

    def lost(connection: Connection, repeat: bool) -> None:
        raise transient(outcome_unknown=next(outcomes))

    with pytest.raises(errors.DatabaseTimeoutError):
        make_writer(write_timeout=0.1).write(lost)


def test_who_cannot_begin_is_told_and_the_next_one_leads(
    engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, begin = make_writer(), engine.begin
    go = held(writer, threads)
    first, second = waiting(writer, threads, note("a"), note("b"))

    def refuse(deadline: float) -> Connection:
        monkeypatch.setattr(engine, "begin", begin)
        raise errors.DatabaseFullError

    monkeypatch.setattr(engine, "begin", refuse)
    go.set()
    assert isinstance(first.exception(WAIT), errors.DatabaseFullError)
    assert second.result(WAIT) == "b"
    assert notes_in(engine) == ["b"]


def test_the_log_of_a_queued_caller_says_why_its_leader_could_not_connect(
    engine: Engine,
    make_writer: MakeWriter,
    threads: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer, begin = make_writer(), engine.begin
    go = held(writer, threads)
    futures = waiting(writer, threads, note("a"), note("b"))

    def lose(deadline: float) -> Connection:
        monkeypatch.setattr(engine, "begin", begin)
        raise transient() from OSError("connection refused")

    monkeypatch.setattr(engine, "begin", lose)
    go.set()
    assert [future.result(WAIT) for future in futures] == ["a", "b"]
    assert [record.getMessage().endswith("(connection refused)") for record in caplog.records] == [True, True]


def test_others_are_written_while_one_waits_for_its_retry(
    engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor
) -> None:
    writer = make_writer(retry_delay=1.0)
    failed = threading.Event()

    def flaky(connection: Connection, repeat: bool) -> str | Deferred[str]:
        if not failed.is_set():
            failed.set()
            raise passing()
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

    def flaky(connection: Connection, repeat: bool) -> str | Deferred[str]:
        attempts.append(repeat)
        if len(attempts) == 1:
            raise passing()
        return "done"

    assert make_writer().write(flaky) == "done"
    assert len(attempts) == 2


def test_a_commit_whose_outcome_is_unknown_is_repeated_with_a_warning_to_the_write(
    engine: Engine, make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, repeats = engine.commit, []

    def torn() -> None:
        monkeypatch.setattr(engine, "commit", commit)
        commit()
        failure = errors.DatabaseUnavailableError()
        failure.can_pass = failure.outcome_unknown = True
        raise failure

    def careful(connection: Connection, repeat: bool) -> str | Deferred[str]:
        repeats.append(repeat)
        return "stands" if repeat else note("once")(connection, repeat)

    monkeypatch.setattr(engine, "commit", torn)
    assert make_writer().write(careful) == "stands"
    assert repeats == [False, True]
    assert notes_in(engine) == ["once"]


def test_a_batch_whose_outcome_is_unknown_is_repeated_with_a_warning_to_each_write(
    engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, commit, repeats = make_writer(), engine.commit, list[tuple[str, bool]]()

    def torn() -> None:
        monkeypatch.setattr(engine, "commit", commit)
        commit()
        raise transient(outcome_unknown=True)

    def careful(text: str) -> Write[str]:
        def write(connection: Connection, repeat: bool) -> str | Deferred[str]:
            repeats.append((text, repeat))
            if text == "a" and not repeat:
                monkeypatch.setattr(engine, "commit", torn)
            return text if repeat else note(text)(connection, repeat)

        return write

    go = held(writer, threads)
    futures = waiting(writer, threads, careful("a"), careful("b"))
    go.set()
    assert [future.result(WAIT) for future in futures] == ["a", "b"]
    assert sorted(repeats) == [("a", False), ("a", True), ("b", False), ("b", True)]
    assert notes_in(engine) == ["a", "b"]


def test_a_write_whose_caller_has_left_is_not_run_again(
    engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, commit, slow, ran = make_writer(), engine.commit, Gate(), list[str]()

    def failing() -> None:
        monkeypatch.setattr(engine, "commit", commit)
        raise errors.DatabaseUnavailableError

    def leading(connection: Connection, repeat: bool) -> str | Deferred[str]:
        if not slow.open.is_set():
            slow(connection, repeat)
            monkeypatch.setattr(engine, "commit", failing)
        return note("lead")(connection, repeat)

    def counted(connection: Connection, repeat: bool) -> str | Deferred[str]:
        ran.append("left")
        return note("left")(connection, repeat)

    go = held(writer, threads)
    (lead,) = waiting(writer, threads, leading)
    left = threads.submit(lambda: writer.write(counted, timeout=1.0))
    until(lambda: writer.stats()["queued"] == 2)
    go.set()
    assert isinstance(left.exception(WAIT), errors.DatabaseTimeoutError)
    slow.open.set()
    assert lead.result(WAIT) == "lead"
    writer.write(note("next"))
    assert ran == ["left"]
    assert notes_in(engine) == ["lead", "next"]


def test_a_write_that_may_stand_is_not_reported_as_failed(
    engine: Engine, make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn() -> None:
        failure = errors.DatabaseUnavailableError()
        failure.can_pass = failure.outcome_unknown = True
        raise failure

    monkeypatch.setattr(engine, "commit", torn)
    with pytest.raises(errors.DatabaseTimeoutError):
        make_writer().write(note("a"))


def test_an_interrupted_leader_leaves_neither_the_lead_nor_the_lock_behind(
    engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor
) -> None:
    writer, entered, go = make_writer(), threading.Event(), threading.Event()

    def interrupted(connection: Connection, repeat: bool) -> None:
        note("a")(connection, repeat)
        entered.set()
        go.wait(WAIT)
        raise KeyboardInterrupt

    lead = threads.submit(writer.write, interrupted)
    entered.wait(WAIT)
    futures = waiting(writer, threads, note("a"), note("b"))
    go.set()
    assert isinstance(lead.exception(WAIT), KeyboardInterrupt)
    assert [future.result(WAIT) for future in futures] == ["a", "b"]
    assert notes_in(engine) == ["a", "b"]


def test_what_an_interrupted_leader_has_committed_is_not_written_twice(
    engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, commit, repeats = make_writer(), engine.commit, list[bool]()

    def interrupted() -> None:
        monkeypatch.setattr(engine, "commit", commit)
        commit()
        raise KeyboardInterrupt

    def leading(connection: Connection, repeat: bool) -> str | Deferred[str]:
        monkeypatch.setattr(engine, "commit", interrupted)
        return note("a")(connection, repeat)

    def careful(connection: Connection, repeat: bool) -> str | Deferred[str]:
        repeats.append(repeat)
        return "stands" if repeat else note("b")(connection, repeat)

    go = held(writer, threads)
    lead, behind = waiting(writer, threads, leading, careful)
    go.set()
    assert isinstance(lead.exception(WAIT), KeyboardInterrupt)
    assert behind.result(WAIT) == "stands"
    assert repeats == [False, True]
    assert notes_in(engine) == ["a", "b"]


def test_close_answers_what_is_queued_and_refuses_what_comes_later(
    engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor
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
        raise passing()

    future = threads.submit(writer.write, busy)
    failed.wait(WAIT)
    writer.close()
    assert isinstance(future.exception(WAIT), errors.DatabaseUnavailableError)


def test_many_callers_lose_nothing(engine: Engine, make_writer: MakeWriter, threads: ThreadPoolExecutor) -> None:
    writer = make_writer()
    texts = [f"{number:04}" for number in range(1000)]
    assert list(threads.map(lambda text: writer.write(note(text)), texts)) == texts
    assert notes_in(engine) == texts
    assert writer.stats()["writes"] == len(texts)
