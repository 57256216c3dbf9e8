"""The lock across processes: exclusive, with a deadline, released by death."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared import clock
from shared.engines.process_lock import ProcessLock

HOLD = """
import sys, pathlib
from shared.engines.process_lock import ProcessLock
lock = ProcessLock(pathlib.Path(sys.argv[1]))
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
    lock = ProcessLock(tmp_path / "a.db")
    with held_elsewhere(tmp_path / "a.db"):
        assert not lock.acquire(clock.elapsed())
    lock.close()


def test_waiting_ends_at_the_deadline(tmp_path: Path) -> None:
    lock = ProcessLock(tmp_path / "a.db")
    with held_elsewhere(tmp_path / "a.db"):
        started = clock.elapsed()
        assert not lock.acquire(started + 0.2)
        assert clock.elapsed() >= started + 0.2
    lock.close()


def test_death_releases(tmp_path: Path) -> None:
    lock = ProcessLock(tmp_path / "a.db")
    with held_elsewhere(tmp_path / "a.db") as process:
        threading.Timer(0.05, process.kill).start()
        assert lock.acquire(clock.elapsed() + 10)
    lock.release()
    lock.close()


def test_a_stopped_holder_lets_others_give_up(tmp_path: Path) -> None:
    lock = ProcessLock(tmp_path / "a.db")
    with held_elsewhere(tmp_path / "a.db") as process:
        os.kill(process.pid, signal.SIGSTOP)
        assert not lock.acquire(clock.elapsed() + 0.1)
    lock.close()


def test_one_that_stands_in_the_turnstile_and_was_stopped_is_gone_round(tmp_path: Path) -> None:
    stopped, lock = ProcessLock(tmp_path / "a.db"), ProcessLock(tmp_path / "a.db")
    import fcntl

    fcntl.flock(stopped._turnstile, fcntl.LOCK_EX)
    assert lock.acquire(clock.elapsed() + 10)
    lock.close()
    stopped.close()


def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(tmp_path: Path) -> None:
    parent = """
import os, sys, pathlib, time
from shared.engines.process_lock import ProcessLock
lock = ProcessLock(pathlib.Path(sys.argv[1]))
lock.acquire(float("inf"))
if child := os.fork():
    print(child, flush=True)
    sys.stdin.readline()
time.sleep(60)
"""
    command = [sys.executable, "-c", parent, str(tmp_path / "a.db")]
    lock = ProcessLock(tmp_path / "a.db")
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
