"""The lock that makes one process at a time the writer of a SQLite file: fair, with a deadline, never left behind.

The *gate*, a `flock` on a file beside the database, is the lock itself. Who finds it taken stands in *line*: draws a
ticket and locks that byte of a second file (an open file description lock) for as long as it waits. Who holds the
lowest locked byte is next, which one question to the kernel tells. The kernel lets go of both when a process dies,
however it dies, so nobody who is gone is ever waited for.

Who comes to an open gate while others stand in line joins the line, except within a short *turn* that begins when it
first got through: handing over costs more than a write, and SQLite keeps its page cache only while nobody else wrote.

Waiting is by looking again and not in the kernel. A blocked lock call has no deadline, wakes everybody at once, and
can be granted to a container that was frozen while it waited. If the next in line leaves an open gate unused for long
because it was stopped, the others go past it. Only a process stopped while it *holds* the gate stops the others; they
are told that the database is busy when their time is up.
"""

import fcntl
import os
import struct
import time
import weakref

from shared import clock

_TURN = 0.003  # seconds from first getting through that others in line may be left waiting
_NEXT_PAUSE = 0.000_01  # seconds between two looks of the next in line; the kernel adds some 60 µs
_PAUSE = 0.001  # seconds between two looks of those behind
_PATIENCE = 0.1  # seconds after which the line's order gives way to an open gate

_MARK = b"Keep this file beside its database: it shows that there is one. Delete both or neither.\n"

_COUNTER = struct.Struct("q")  # at the start of the line's file: the next ticket
_FIRST_TICKET = 64  # behind the counter
_LOCK = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, length (0: to the end), process
_UNLOCKED = struct.pack("h", fcntl.F_UNLCK)


class ProcessLock:
    """Not reentrant and not for several threads at once: the single writer's queue stands in front of it."""

    def __init__(self, database: str) -> None:
        """Open (and create) the lock files beside `database`; raises `OSError`."""
        self._turn_began = 0.0
        self._gate = _open(database + "-lock")
        try:
            self._line = _open(database + "-line")
        except OSError:
            os.close(self._gate)
            raise
        _open_locks.add(self)

    def acquire(self, deadline: float) -> bool:
        """Take the lock; False when `deadline` (on `clock.elapsed`) came first. A past deadline makes one attempt."""
        now = clock.elapsed()
        if now - self._turn_began < _TURN:
            if self._try_gate():
                return True
        elif not self._waits_before() and self._try_gate():
            self._turn_began = now
            return True
        return self._stand_in_line(deadline)

    def release(self) -> None:
        """Let somebody else through."""
        fcntl.flock(self._gate, fcntl.LOCK_UN)

    def mark(self) -> None:
        """Note, once the database was made, that a missing or empty one is a loss and not a beginning."""
        os.pwrite(self._gate, _MARK, 0)

    def close(self) -> None:
        """Give up the files; a lock that is held goes with them."""
        _open_locks.discard(self)
        for descriptor in (self._gate, self._line):
            if descriptor >= 0:
                os.close(descriptor)
        self._gate = self._line = -1

    def _try_gate(self) -> bool:
        try:
            fcntl.flock(self._gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _stand_in_line(self, deadline: float) -> bool:
        joined = clock.elapsed()
        ticket = self._draw_ticket()
        try:
            while True:
                is_next = not self._waits_before(ticket)
                now = clock.elapsed()
                if (is_next or now - joined > _PATIENCE) and self._try_gate():
                    self._turn_began = now
                    return True
                if now >= deadline:
                    return False
                time.sleep(_NEXT_PAUSE if is_next else _PAUSE)
        finally:
            self._set(fcntl.F_UNLCK, ticket)

    def _draw_ticket(self) -> int:
        """Lock the byte behind the last one in line; two that read the same counter end up one behind the other."""
        counter = os.pread(self._line, _COUNTER.size, 0)
        ticket = _COUNTER.unpack(counter)[0] if len(counter) == _COUNTER.size else _FIRST_TICKET
        while not self._set(fcntl.F_WRLCK, ticket):
            ticket += 1
        os.pwrite(self._line, _COUNTER.pack(ticket + 1), 0)
        return int(ticket)

    def _set(self, kind: int, ticket: int) -> bool:
        try:
            fcntl.fcntl(self._line, fcntl.F_OFD_SETLK, _LOCK.pack(kind, os.SEEK_SET, ticket, 1, 0))
        except BlockingIOError:
            return False
        return True

    def _waits_before(self, ticket: int | None = None) -> bool:
        """Whether somebody in another process stands in line, before this ticket."""
        if ticket == _FIRST_TICKET:
            return False
        length = 0 if ticket is None else ticket - _FIRST_TICKET
        question = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _FIRST_TICKET, length, 0)
        return fcntl.fcntl(self._line, fcntl.F_OFD_GETLK, question)[:2] != _UNLOCKED


_open_locks: "weakref.WeakSet[ProcessLock]" = weakref.WeakSet()


def _close_in_child() -> None:
    # A forked child shares the parent's open files, and so would keep the parent's lock alive after its death.
    for lock in list(_open_locks):
        lock.close()


os.register_at_fork(after_in_child=_close_in_child)


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
