"""The lock across processes: exclusive, with a deadline, released by death; with Linux's locks and without."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared import clock
from shared.engines.sqlite.process_lock import OVERTAKE_SECONDS, TURN_SECONDS, ProcessLock
from shared.engines.sqlite.waiting_line import TicketLine, Turnstile, WaitingLine, open_line

WAIT = 20  # seconds; only reached when something is broken
LINUX_LOCKS = [name for name in dir(fcntl) if name.startswith("F_OFD_")]
WITHOUT = f"import fcntl\nfor name in {LINUX_LOCKS}: delattr(fcntl, name)\n"
HOLD = """
import sys
from shared.engines.sqlite.process_lock import ProcessLock
lock = ProcessLock(sys.argv[1])
assert lock.acquire(float("inf"))
print("held", flush=True)
sys.stdin.readline()
"""
COUNT = """
import pathlib, sys
from shared.engines.sqlite.process_lock import ProcessLock
lock, counter = ProcessLock(sys.argv[1]), pathlib.Path(sys.argv[1])
for _ in range(100):
    assert lock.acquire(float("inf"))
    counter.write_text(str(int(counter.read_text()) + 1))
    lock.release()
"""
FORK = """
import os, sys, time
from shared.engines.sqlite.process_lock import ProcessLock
lock = ProcessLock(sys.argv[1])
lock.acquire(float("inf"))
if child := os.fork():
    print(child, flush=True)
    sys.stdin.readline()
time.sleep(60)
"""
Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture(
    params=[
        pytest.param(True, id="tickets", marks=pytest.mark.skipif(not LINUX_LOCKS, reason="only Linux has them")),
        pytest.param(False, id="turnstile"),
    ]
)
def tickets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the system has Linux's locks; the second time it seems not to."""
    if not request.param:
        for name in LINUX_LOCKS:
            monkeypatch.delattr(fcntl, name)
    return bool(request.param)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The database that the lock belongs to."""
    return str(tmp_path / "a.db")


@pytest.fixture
def make_lock(path: str, tickets: bool) -> Iterator[Callable[[], ProcessLock]]:
    """A factory of locks on the same database; each acts as one process."""
    made: list[ProcessLock] = []

    def make() -> ProcessLock:
        made.append(ProcessLock(path))
        return made[-1]

    yield make
    for lock in made:
        lock.close()


@pytest.fixture
def lock(make_lock: Callable[[], ProcessLock]) -> ProcessLock:
    """This process's lock."""
    return make_lock()


@pytest.fixture
def make_line(path: str, tickets: bool) -> Iterator[Callable[[], WaitingLine]]:
    """A factory of places in the lock's line; each stands for a process."""
    made: list[WaitingLine] = []

    def make() -> WaitingLine:
        made.append(open_line(path + "-line"))
        return made[-1]

    yield make
    for line in made:
        line.close()


@pytest.fixture
def start(path: str, tickets: bool) -> Iterator[Start]:
    """Start another process with the same kind of lock; it is killed after the test."""
    started: list[subprocess.Popen[str]] = []

    def run(program: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program if tickets else WITHOUT + program, path]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        with process:
            process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    """What the process prints next; a process that hangs is killed, and has printed nothing."""
    assert process.stdout is not None
    timer = threading.Timer(WAIT, process.kill)
    timer.start()
    try:
        return process.stdout.readline()
    finally:
        timer.cancel()


@pytest.fixture
def holder(start: Start) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    process = start(HOLD)
    assert read_line(process) == "held\n"
    return process


@contextmanager
def waiting(line: WaitingLine, process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """The process, once it waits in the line."""
    deadline = clock.elapsed() + WAIT
    while line.is_empty():
        assert clock.elapsed() < deadline, "it never waited"
        assert process.poll() is None, "it ended"
    yield process


def test_linux_serves_in_order_and_other_systems_one_at_a_time(
    tickets: bool, make_line: Callable[[], WaitingLine]
) -> None:
    assert isinstance(make_line(), TicketLine if tickets else Turnstile)


def test_one_process_at_a_time(lock: ProcessLock, holder: subprocess.Popen[str]) -> None:
    assert not lock.acquire(clock.elapsed())


def test_waiting_ends_at_the_deadline(lock: ProcessLock, holder: subprocess.Popen[str]) -> None:
    started = clock.elapsed()
    assert not lock.acquire(started + 0.2)
    assert clock.elapsed() >= started + 0.2


def test_death_releases(lock: ProcessLock, holder: subprocess.Popen[str]) -> None:
    assert not lock.acquire(clock.elapsed())
    holder.kill()
    assert lock.acquire(clock.elapsed() + WAIT)


def test_a_stopped_holder_lets_others_give_up(lock: ProcessLock, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGSTOP)
    assert not lock.acquire(clock.elapsed() + 0.1)


def test_nothing_is_lost_between_several_processes(path: str, start: Start) -> None:
    Path(path).write_text("0")
    for process in [start(COUNT) for _ in range(3)]:
        assert process.wait(60) == 0
    assert Path(path).read_text() == "300"


def test_a_process_killed_at_any_moment_leaves_the_lock_to_the_others(
    path: str, lock: ProcessLock, start: Start
) -> None:
    for pause in range(5):
        killed = start(HOLD)
        threading.Event().wait(0.02 * pause)
        killed.kill()
        assert lock.acquire(clock.elapsed() + WAIT)
        lock.release()


def test_both_kinds_of_lock_exclude_each_other(path: str, lock: ProcessLock, tickets: bool) -> None:
    assert lock.acquire(clock.elapsed())
    command = [sys.executable, "-c", WITHOUT + HOLD if tickets else HOLD, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
        lock.release()
        assert read_line(other) == "held\n"
        other.kill()


def test_one_of_those_that_wait_is_next(make_line: Callable[[], WaitingLine]) -> None:
    lines = [make_line() for _ in range(3)]
    assert all(line.is_empty() for line in lines)
    for line in lines:
        line.join()
    for _ in range(3):
        following = [line for line in lines if line.is_next()]
        assert len(following) == 1
        following[0].leave()
        lines.remove(following[0])
    assert make_line().is_empty()


def test_tickets_serve_in_the_order_of_joining(make_line: Callable[[], WaitingLine], tickets: bool) -> None:
    if not tickets:
        pytest.skip("the turnstile lets chance decide")
    lines = [make_line() for _ in range(5)]
    for line in lines:
        line.join()
    for number, line in enumerate(lines):
        assert [other.is_next() for other in lines[number:]] == [True] + [False] * (4 - number)
        line.leave()


def test_a_process_that_gave_up_has_left_the_line(
    lock: ProcessLock, make_line: Callable[[], WaitingLine], holder: subprocess.Popen[str]
) -> None:
    assert not lock.acquire(clock.elapsed() + 0.05)
    assert make_line().is_empty()


def test_everybody_who_waits_gets_the_lock_once_it_is_released(
    lock: ProcessLock, make_line: Callable[[], WaitingLine], start: Start
) -> None:
    assert lock.acquire(clock.elapsed())
    processes = [start(HOLD) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()  # it releases the lock as soon as it has it
    with waiting(make_line(), processes[0]):
        lock.release()
    for process in processes:
        assert read_line(process) == "held\n"


def test_who_was_just_through_does_not_push_in_for_longer_than_its_turn(
    lock: ProcessLock, make_line: Callable[[], WaitingLine], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.elapsed()
    monkeypatch.setattr(clock, "elapsed", lambda: now)
    assert lock.acquire(now)
    lock.release()
    first_in_line = make_line()
    first_in_line.join()
    assert first_in_line.is_next()
    now += 0.9 * TURN_SECONDS
    assert lock.acquire(now), "its turn goes on"
    lock.release()
    now += 0.2 * TURN_SECONDS
    assert not lock.acquire(now)
    first_in_line.leave()
    assert lock.acquire(now)


def test_a_stopped_process_in_the_line_is_overtaken(
    lock: ProcessLock, make_lock: Callable[[], ProcessLock], make_line: Callable[[], WaitingLine], start: Start
) -> None:
    assert lock.acquire(clock.elapsed())
    with waiting(make_line(), start(HOLD)) as stopped:
        stopped.send_signal(signal.SIGSTOP)
        lock.release()
        began = clock.elapsed()
        assert make_lock().acquire(began + WAIT)
        assert clock.elapsed() > began + OVERTAKE_SECONDS


def test_the_dead_are_not_waited_for(
    lock: ProcessLock, make_lock: Callable[[], ProcessLock], make_line: Callable[[], WaitingLine], start: Start
) -> None:
    assert lock.acquire(clock.elapsed())
    with waiting(make_line(), start(HOLD)) as dead:
        dead.kill()
        dead.wait(WAIT)
    lock.release()
    assert make_lock().acquire(clock.elapsed())


def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(lock: ProcessLock, start: Start) -> None:
    parent = start(FORK)
    child = int(read_line(parent))
    try:
        parent.kill()
        parent.wait(WAIT)
        assert lock.acquire(clock.elapsed() + WAIT)
    finally:
        os.kill(child, signal.SIGKILL)
