"""Read connections of a SQLite file, kept for the next read."""

from collections.abc import Callable
from contextlib import suppress

import apsw

_KEPT = 8  # connections kept for reads that run at once


class Readers:
    """A pool of connections. Connections that are given back after the pool was closed are closed too."""

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        self._idle: list[apsw.Connection] = []
        self._connect = connect
        self._all: set[apsw.Connection] = set()
        self._closed = False

    def take(self) -> apsw.Connection:
        """A connection for one read: give it back or discard it."""
        try:
            return self._idle.pop()
        except IndexError:
            pass  # connect outside the handler, or a failure would have the IndexError as its context
        connection = self._connect()
        self._all.add(connection)
        return connection

    def give_back(self, connection: apsw.Connection) -> None:
        """Keep it for the next read, or close it."""
        if len(self._idle) >= _KEPT:
            self.discard(connection)
            return
        self._idle.append(connection)
        if self._closed:  # asked after the append, or a `close` in between would miss it
            self.close()

    def discard(self, connection: apsw.Connection) -> None:
        """Close a connection that must not be used again."""
        self._all.discard(connection)
        connection.close(True)

    def spare(self) -> apsw.Connection | None:
        """An idle connection, which the caller gives back; None when all are in use."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def in_hand(self) -> bool:
        """Whether a read uses a connection at the moment."""
        return len(self._all) > len(self._idle)

    def any_open(self) -> bool:
        """Whether there are any, idle or in use."""
        return bool(self._all)

    def close(self) -> None:
        """Close idle connections now, and the others when they are given back."""
        self._closed = True
        with suppress(IndexError):  # another thread may close too
            while True:
                self.discard(self._idle.pop())
