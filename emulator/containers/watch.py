"""Notices files that change while the emulator runs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import Path

INTERVAL = 0.02
"""Seconds for which the answer "unchanged" is kept: a busy gateway does not look at the files at every request."""

Stamp = tuple[int, int]


class Watch:
    """A set of files, and their times and sizes when they were added."""

    def __init__(self, files: Iterable[str | Path] = ()) -> None:
        self._stamps: dict[str, Stamp] = {}
        self._unchanged_at = -math.inf
        self.add(files)

    def add(self, files: Iterable[str | Path]) -> None:
        """Watch these as well, from how they are now."""
        for file in files:
            self._stamps.setdefault(str(file), _stamp(str(file)))

    def changed(self) -> bool:
        """Whether a file differs from when it was added; a change is noticed 20 ms late at most.

        Once a file has changed the answer remains True: who reads the files again makes a new Watch.
        """
        now = time.monotonic()
        if now - self._unchanged_at < INTERVAL:
            return False
        if any(_stamp(file) != stamp for file, stamp in self._stamps.items()):
            return True
        self._unchanged_at = now
        return False


def _stamp(file: str) -> Stamp:
    try:
        status = Path(file).stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)
