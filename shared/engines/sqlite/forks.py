"""No connection is open while the process forks.

SQLite records its locks by process, not by connection. A forked child would inherit records of locks that only its
parent holds: it would wait for some forever, and treat others as its own. So before a fork every connection is closed
when its work is done, and no new one is opened. After the fork both processes open connections of their own. When a
connection could not be closed in time, because a read was not finished or another process holds the lock, calls in
the child raise `DatabaseClosedError`.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import apsw

from shared import clock, errors

_PATIENCE = 1.0  # seconds that a fork waits for connections in use
_PAUSE = 0.000_5  # seconds between two checks of them


class Openings:
    """The connections to one file that are open or being opened."""

    def __init__(self, name: str, close_idle: Callable[[Callable[[], object], float], None]) -> None:
        """`close_idle(shut, deadline)` calls `shut`, then closes idle connections now, the others after their use."""
        self._name = name
        self._close_idle = close_idle
        self._gate = threading.Lock()  # held over a fork
        self._underway: set[object] = set()
        self._opened: weakref.WeakSet[apsw.Connection] = weakref.WeakSet()
        _all.add(self)

    @contextmanager
    def one(self) -> Iterator[Callable[[apsw.Connection], None]]:
        """Open a connection in this block; call the yielded function with it as soon as it exists."""
        if self._name in _inherited:
            raise errors.DatabaseClosedError
        mark = object()
        with self._gate:
            self._underway.add(mark)
        try:
            yield self._opened.add
        finally:
            self._underway.discard(mark)

    def shut(self) -> None:
        """Block new connections, and wait until none is open."""
        deadline = clock.elapsed() + _PATIENCE
        if self.in_use():
            self._close_idle(self._gate.acquire, deadline)
        else:
            self._gate.acquire()
        while self.in_use() and clock.elapsed() < deadline:
            time.sleep(_PAUSE)

    def in_use(self) -> bool:
        """Whether there is a connection now."""
        return bool(self._underway) or any(connection in self._opened for connection in apsw.connections())

    def reopen(self) -> None:
        """Allow new connections again."""
        self._gate.release()

    def leave(self) -> None:
        """In a forked child: forget the parent's connections. If some are open, the child cannot use the file."""
        _all.discard(self)
        if self.in_use():
            _inherited.add(self._name)


_all: "weakref.WeakSet[Openings]" = weakref.WeakSet()
_shut: list[Openings] = []  # over a fork
_inherited: set[str] = set()  # files that a child cannot use


def _before() -> None:
    _shut.extend(_all)
    for openings in _shut:
        openings.shut()


def _after_in_parent() -> None:
    while _shut:
        _shut.pop().reopen()


def _after_in_child() -> None:
    while _shut:
        _shut.pop().leave()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
