"""The lock that makes one process at a time the writer of a SQLite file: fair, with a deadline, and never left behind.

Two `flock`s on files beside the database. The *gate* is the lock itself. Who has to wait for it first takes the
*turnstile* and waits at the gate alone, so whoever releases the gate cannot push in again before the one who waits.
The kernel releases both when their holder dies, however it dies.

Waiting is by polling and not in the kernel. A blocked `flock` has no deadline, wakes everybody at once, and can be
granted to a container that was frozen while it waited; a poll has none of these. Who has waited longer polls more
often, so long waits are rare. A process that stands in the turnstile and was stopped there does not hold up the
others either: after a while they go round it. Only a process stopped while it *holds* the gate does, and then the
others are told that the database is busy when their time is up.

Who met nobody for a while looks into the turnstile only now and then, which halves the price of a lone process's writes;
the first look that finds somebody makes it strict again.
"""

import fcntl
import os
import time
import weakref
from pathlib import Path

from shared import clock

_HEAD_PAUSE = 0.000_05  # seconds between two looks of the one who is next
_LONGEST_PAUSE = 0.001  # seconds between two looks of the others, at first
_MARK = b"Keep this file beside its database: it shows that there is one. Delete both or neither.\n"
_CALM = 64  # times in a row that nobody was met, before the turnstile is passed by
_LOOK = 8  # and then still looked into every so many times
_PATIENCE = 0.1  # seconds that somebody in the turnstile may leave an open gate unused


class ProcessLock:
    """Not reentrant and not for several threads at once: the single writer's queue stands in front of it."""

    def __init__(self, database: Path) -> None:
        """Open (and create, empty) the lock files beside `database`; raises `OSError`."""
        self._calm = 0  # how often in a row nobody was met
        self._gate = _open(database.with_name(database.name + "-lock"))
        try:
            self._turnstile = _open(database.with_name(database.name + "-turn"))
        except OSError:
            os.close(self._gate)
            raise
        _open_locks.add(self)

    def acquire(self, deadline: float) -> bool:
        """Take the lock; False when `deadline` (on `clock.elapsed`) came first. A past deadline makes one attempt."""
        self._calm += 1
        if self._calm > _CALM and self._calm % _LOOK:
            if _try(self._gate):
                return True
            return self._wait(deadline, is_next=False)
        if not _try(self._turnstile):
            return self._wait(deadline, is_next=False)
        if not _try(self._gate):
            return self._wait(deadline, is_next=True)
        _release(self._turnstile)
        return True

    def release(self) -> None:
        """Let the next one in."""
        _release(self._gate)

    def mark(self) -> None:
        """Note, once the database was made, that a missing or empty one is a loss and not a beginning."""
        os.pwrite(self._gate, _MARK, 0)

    def close(self) -> None:
        """Give up the files; a lock that is held goes with them."""
        _open_locks.discard(self)
        for descriptor in (self._gate, self._turnstile):
            if descriptor >= 0:
                os.close(descriptor)
        self._gate = self._turnstile = -1

    def _wait(self, deadline: float, *, is_next: bool) -> bool:
        started = clock.elapsed()
        self._calm = 0
        try:
            while True:
                waited = clock.elapsed() - started
                if started + waited >= deadline:
                    return False
                time.sleep(_HEAD_PAUSE if is_next else _LONGEST_PAUSE / (1 + 200 * waited))
                is_next = is_next or _try(self._turnstile)
                if (is_next or waited > _PATIENCE) and _try(self._gate):
                    return True
        finally:
            if is_next:
                _release(self._turnstile)


_open_locks: "weakref.WeakSet[ProcessLock]" = weakref.WeakSet()


def _close_in_child() -> None:
    # A forked child shares the parent's open files, and so would keep the parent's lock alive after its death.
    for lock in list(_open_locks):
        lock.close()


os.register_at_fork(after_in_child=_close_in_child)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _release(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_UN)
