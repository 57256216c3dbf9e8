"""Batches of a purge or an erasure: transactions that are short, with a pause after each.

On SQLite one process writes at a time, so a class waits while a batch is written. A batch is as large as the last
one shows that its time allows: about `TARGET_SECONDS`, measured from the first statement until the lock is free, with
a checkpoint if there was one. Sizes are estimates of the bytes that are written. After a batch, nothing is written for
as long as it took, so at least half of the time belongs to the service, and whoever waits in the line comes first.
"""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from shared import clock
from shared.engines import Connection
from shared.writer import Deferred, Writer
from shared.writes import Change

TARGET_SECONDS = 0.005
PAGE = 4096
"""Bytes of a page: what a change of one scattered row writes, at least."""

_FIRST_SIZE = 64 * 1024
_MIN_SIZE = 8 * 1024
_MAX_SIZE = 256 * 1024

S = TypeVar("S")
T = TypeVar("T")


class Pace:
    """Writes through the single writer, and sets the size of the next batch in bytes."""

    def __init__(self, writer: Writer, pause: Callable[[float], object] = time.sleep) -> None:
        self.size = _FIRST_SIZE
        self._writer = writer
        self._pause = pause

    def write(self, change: Change[T]) -> T:
        """Commit a change and return its result, after a pause as long as the transaction."""
        began = 0.0

        def run(connection: Connection, repeat: bool) -> T | Deferred[T]:
            nonlocal began
            began = clock.elapsed()
            return change.run(connection, repeat)

        result: T = self._writer.write(run)
        took = clock.elapsed() - began
        self.measured(took)
        self._pause(took)
        return result

    def measured(self, seconds: float) -> None:
        """Set the next size after a batch that took so long: at most twice, at least a quarter of the last."""
        factor = min(2.0, max(0.25, TARGET_SECONDS / max(seconds, 1e-6)))
        self.size = int(min(_MAX_SIZE, max(_MIN_SIZE, self.size * factor)))


class Batches(Generic[S]):
    """Collects steps, and hands them to `write` as soon as they are as large as a batch may be."""

    def __init__(self, pace: Pace, write: Callable[[list[S]], object]) -> None:
        self._pace = pace
        self._write = write
        self._steps = list[S]()
        self._bytes = 0

    def room(self) -> int:
        """How many bytes the next step may take."""
        return self._pace.size - self._bytes

    def make_room(self, size: int) -> None:
        """Write the steps before, unless so many bytes fit beside them."""
        if size > self.room():
            self.flush()

    def add(self, step: S, size: int) -> None:
        """Add a step that writes about `size` bytes."""
        self._steps.append(step)
        self._bytes += size
        if self.room() <= 0:
            self.flush()

    def flush(self) -> None:
        """Write the steps that are left."""
        steps, self._steps, self._bytes = self._steps, [], 0
        if steps:
            self._write(steps)
