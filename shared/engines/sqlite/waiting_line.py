"""The line of processes that wait for a lock: who is next, asked of the kernel, which forgets those that died.

- `TicketLine` is first come, first served. Each process locks one byte of the file, its ticket, by an open file
  description lock. The process with the lowest locked byte is next. Only Linux has these locks.
- `Turnstile` works wherever `flock` does. Whoever holds the `flock` on the file is next; which of the others follows
  is decided by chance.

Processes of both kinds may wait for the same lock. They do not see each other in the line, so only the order suffers.
"""

import fcntl
import os
import struct
import sys
from typing import Protocol

_COUNTER = struct.Struct("q")  # at the start of the file: the next ticket
_FIRST_TICKET = 64  # behind the counter
_LOCK = struct.Struct("hhqqi0q")  # Linux's struct flock: type, whence, start, length (0: to the end), process
_UNLOCKED = struct.pack("h", fcntl.F_UNLCK)


class WaitingLine(Protocol):
    """One process's view of the line. It joins at most once at a time."""

    def is_empty(self) -> bool:
        """Whether no other process waits. Not to be asked between `join` and `leave`."""

    def join(self) -> None:
        """Start to wait."""

    def is_next(self) -> bool:
        """Whether this process, which has joined, is the next one."""

    def leave(self) -> None:
        """Stop to wait."""

    def close(self) -> None:
        """Give up the file, and with it the place in the line."""


def open_line(path: str) -> WaitingLine:
    """The best line that this system has; creates the file. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    return TicketLine(descriptor) if _has_ticket_locks(descriptor) else Turnstile(descriptor)


def _has_ticket_locks(descriptor: int) -> bool:
    """Whether this system has open file description locks, by trying one: old kernels and WSL 1 refuse them.

    macOS has locks of the same name, with another `struct flock`.
    """
    if not (sys.platform == "linux" and hasattr(fcntl, "F_OFD_GETLK")):
        return False
    try:
        _locked(descriptor, _FIRST_TICKET, 1)
    except OSError:
        return False
    return True


def _locked(descriptor: int, start: int, length: int) -> bool:
    question = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    return fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question)[:2] != _UNLOCKED


class _File:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        """Give up the file; closing twice is fine."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class TicketLine(_File):
    """First come, first served, on Linux."""

    _ticket = _FIRST_TICKET

    def is_empty(self) -> bool:
        """Whether no other process holds a ticket."""
        return not _locked(self._descriptor, _FIRST_TICKET, 0)

    def join(self) -> None:
        """Lock the byte after the last ticket; of two processes that read the same counter one takes the next byte."""
        counter = os.pread(self._descriptor, _COUNTER.size, 0)
        self._ticket = _COUNTER.unpack(counter)[0] if len(counter) == _COUNTER.size else _FIRST_TICKET
        while not self._set(fcntl.F_WRLCK):
            self._ticket += 1
        os.pwrite(self._descriptor, _COUNTER.pack(self._ticket + 1), 0)

    def is_next(self) -> bool:
        """Whether no other process holds a lower ticket."""
        before = self._ticket - _FIRST_TICKET
        return before == 0 or not _locked(self._descriptor, _FIRST_TICKET, before)

    def leave(self) -> None:
        """Give up the ticket."""
        self._set(fcntl.F_UNLCK)

    def _set(self, kind: int) -> bool:
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, _LOCK.pack(kind, os.SEEK_SET, self._ticket, 1, 0))
        except BlockingIOError:
            return False
        return True


class Turnstile(_File):
    """One process at a time is next, on every POSIX system."""

    def is_empty(self) -> bool:
        """Whether no other process is next. Processes that ask at the same time do not disturb each other."""
        empty = self._try(fcntl.LOCK_SH)
        self.leave()
        return empty

    def join(self) -> None:
        """Nothing to do: a process has its place only once it is next."""

    def is_next(self) -> bool:
        """Whether this process is the next one; it becomes that where no other is."""
        return self._try(fcntl.LOCK_EX)

    def leave(self) -> None:
        """Let another process be the next one."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
