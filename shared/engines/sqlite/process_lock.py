"""The lock that makes one process at a time the writer of a SQLite file: fair, with a deadline, released by death.

The lock itself is a `flock` on a file beside the database, the *gate*. A process that finds the gate locked joins the
*waiting line*, on a second file, and tries the gate when it is the next in line. The kernel releases both files'
locks when a process dies, however it dies, so nobody waits for a process that is gone.

A process that finds the gate open while others wait joins the line too, except during its *turn*: a few milliseconds
that begin when it gets the gate. Each change of the writer costs more than a write, and SQLite keeps its page cache
only while no other process writes.

A process waits by polling, not inside the kernel. A blocking lock call has no deadline, wakes every waiter at once,
and can be granted to a container that was frozen while it waited. When the next in line does not take an open gate
because it was stopped, the others overtake it after a while. Only a process that is stopped while it *holds* the gate
stops the others: their `acquire` returns False at its deadline.
"""

import fcntl
import os
import time
import weakref

from shared import clock
from shared.engines.sqlite.waiting_line import open_line

TURN_SECONDS = 0.003
"""How long a process that got the gate may come back without joining the line."""
OVERTAKE_SECONDS = 0.1
"""How long a process waits before it tries an open gate although it is not the next in line."""
_NEXT_PAUSE = 0.000_01  # seconds between two attempts of the next in line; the kernel adds some 60 µs
_PAUSE = 0.001  # seconds between two attempts of the others

_MARK = b"Keep this file beside its database: it shows that there is one. Delete both or neither.\n"


class ProcessLock:
    """Not reentrant, and for one thread at a time: the single writer's queue ensures that."""

    def __init__(self, database: str) -> None:
        """Open (and create) the lock files beside `database`; raises `OSError`."""
        self._turn_began = 0.0
        self._gate = os.open(database + "-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._line = open_line(database + "-line")
        except OSError:
            os.close(self._gate)
            raise
        _open_locks.add(self)

    def acquire(self, deadline: float) -> bool:
        """Take the lock; False when `deadline` (on `clock.elapsed`) passed first. At least one attempt is made."""
        now = clock.elapsed()
        if now - self._turn_began < TURN_SECONDS:
            if self._try_gate():
                return True
        elif self._line.is_empty() and self._try_gate():
            self._turn_began = now
            return True
        return self._wait_in_line(deadline)

    def release(self) -> None:
        """Let another process take the lock."""
        fcntl.flock(self._gate, fcntl.LOCK_UN)

    def mark(self) -> None:
        """Record that the database was created: from now on a missing or empty database file means that it was lost."""
        os.pwrite(self._gate, _MARK, 0)

    def close(self) -> None:
        """Close the lock files, which releases the lock; closing twice is fine."""
        _open_locks.discard(self)
        gate, self._gate = self._gate, -1
        if gate >= 0:
            os.close(gate)
        self._line.close()

    def _try_gate(self) -> bool:
        try:
            fcntl.flock(self._gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait_in_line(self, deadline: float) -> bool:
        joined = clock.elapsed()
        self._line.join()
        try:
            while True:
                is_next = self._line.is_next()
                now = clock.elapsed()
                if (is_next or now - joined > OVERTAKE_SECONDS) and self._try_gate():
                    self._turn_began = now
                    return True
                if now >= deadline:
                    return False
                time.sleep(_NEXT_PAUSE if is_next else _PAUSE)
        finally:
            self._line.leave()


_open_locks: "weakref.WeakSet[ProcessLock]" = weakref.WeakSet()


def _close_in_child() -> None:
    # A forked child shares the parent's open files, and so would keep the parent's lock after the parent's death.
    for lock in list(_open_locks):
        lock.close()


os.register_at_fork(after_in_child=_close_in_child)
