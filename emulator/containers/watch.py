"""Files that may change under a running emulator: looked at when a request comes, and no oftener than needed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

PATIENCE = 0.02
"""Seconds between two looks: nobody saves a file and asks again faster, and a busy gateway stays fast."""

Stamp = tuple[int, int]


class Watch:
    """A set of files and how they looked when they were read."""

    def __init__(self, files: Iterable[str | Path] = ()) -> None:
        self.stamps: dict[str, Stamp] = {}
        self.looked = 0.0
        self.add(files)

    def add(self, files: Iterable[str | Path]) -> None:
        """Watch these as well, from how they look now."""
        for file in files:
            self.stamps.setdefault(str(file), _stamp(str(file)))

    def changed(self) -> bool:
        """Whether a file looks different; between two looks the answer is no."""
        now = time.monotonic()
        if now - self.looked < PATIENCE:
            return False
        self.looked = now
        return any(_stamp(file) != stamp for file, stamp in self.stamps.items())


def _stamp(file: str) -> Stamp:
    try:
        status = Path(file).stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)
