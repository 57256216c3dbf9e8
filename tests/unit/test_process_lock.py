"""The lock across processes: exclusive, with a deadline, released by death."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared import clock
from shared.engines.sqlite import process_lock
from shared.engines.sqlite.process_lock import ProcessLock

HOLD = """
import sys
from shared.engines.sqlite.process_lock import ProcessLock
lock = ProcessLock(sys.argv[1])
assert lock.acquire(float("inf"))
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def held_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is killed."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    lock = ProcessLock(str(tmp_path / "a.db"))
    with held_elsewhere(tmp_path / "a.db"):
        assert not lock.acquire(clock.elapsed())
    lock.close()


def test_waiting_ends_at_the_deadline(tmp_path: Path) -> None:
    lock = ProcessLock(str(tmp_path / "a.db"))
    with held_elsewhere(tmp_path / "a.db"):
        started = clock.elapsed()
        assert not lock.acquire(started + 0.2)
        assert clock.elapsed() >= started + 0.2
    lock.close()


def test_death_releases(tmp_path: Path) -> None:
    lock = ProcessLock(str(tmp_path / "a.db"))
    with held_elsewhere(tmp_path / "a.db") as process:
        threading.Timer(0.05, process.kill).start()
        assert lock.acquire(clock.elapsed() + 10)
    lock.release()
    lock.close()


def test_a_stopped_holder_lets_others_give_up(tmp_path: Path) -> None:
    lock = ProcessLock(str(tmp_path / "a.db"))
    with held_elsewhere(tmp_path / "a.db") as process:
        os.kill(process.pid, signal.SIGSTOP)
        assert not lock.acquire(clock.elapsed() + 0.1)
    lock.close()


def in_line(lock: ProcessLock) -> int:
    """How many have drawn a ticket so far."""
    counter = os.pread(lock._line, 8, 0)
    return int.from_bytes(counter, sys.byteorder) - 64 if counter else 0


def test_first_come_first_served(tmp_path: Path) -> None:
    holder, came, through = (
        ProcessLock(str(tmp_path / "a.db")),
        [ProcessLock(str(tmp_path / "a.db")) for _ in range(5)],
        [],
    )

    def wait(number: int) -> None:
        assert came[number].acquire(clock.elapsed() + 30)
        through.append(number)
        came[number].release()

    assert holder.acquire(clock.elapsed())
    threads = [threading.Thread(target=wait, args=(number,)) for number in range(5)]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        while in_line(holder) < number:
            time.sleep(0.001)
    holder.release()
    for thread in threads:
        thread.join(30)
    assert through == [0, 1, 2, 3, 4]
    for lock in (holder, *came):
        lock.close()


def test_who_was_just_through_does_not_push_in_for_longer_than_its_turn(tmp_path: Path) -> None:
    greedy, waiting = ProcessLock(str(tmp_path / "a.db")), ProcessLock(str(tmp_path / "a.db"))
    ticket = waiting._draw_ticket()
    assert greedy.acquire(clock.elapsed() + 0.3), "nobody holds the gate, and the one in line does not come"
    greedy.release()
    assert greedy.acquire(clock.elapsed()), "its turn goes on"
    greedy.release()
    time.sleep(2 * process_lock._TURN)
    assert not greedy.acquire(clock.elapsed())
    waiting._set(fcntl.F_UNLCK, ticket)
    assert greedy.acquire(clock.elapsed())
    greedy.close()
    waiting.close()


def test_one_in_line_that_was_stopped_is_gone_past(tmp_path: Path) -> None:
    stopped, lock = ProcessLock(str(tmp_path / "a.db")), ProcessLock(str(tmp_path / "a.db"))
    stopped._draw_ticket()
    assert not lock.acquire(clock.elapsed())
    assert lock.acquire(clock.elapsed() + 10)
    lock.close()
    stopped.close()


def test_the_dead_are_not_waited_for(tmp_path: Path) -> None:
    lock, dead = ProcessLock(str(tmp_path / "a.db")), ProcessLock(str(tmp_path / "a.db"))
    dead._draw_ticket()
    dead.close()
    assert lock.acquire(clock.elapsed())
    lock.close()


def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(tmp_path: Path) -> None:
    parent = """
import os, sys, time
from shared.engines.sqlite.process_lock import ProcessLock
lock = ProcessLock(sys.argv[1])
lock.acquire(float("inf"))
if child := os.fork():
    print(child, flush=True)
    sys.stdin.readline()
time.sleep(60)
"""
    command = [sys.executable, "-c", parent, str(tmp_path / "a.db")]
    lock = ProcessLock(str(tmp_path / "a.db"))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            process.kill()
            process.wait()
            assert lock.acquire(clock.elapsed() + 5)
        finally:
            os.kill(child, signal.SIGKILL)
    lock.close()
