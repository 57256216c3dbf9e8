"""Notices files that change while the emulator runs."""

from __future__ import annotations

import math
import time
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from emulator.manifest.yaml.files import Stamp, stamp

INTERVAL = 0.02
"""Seconds for which the answer "unchanged" is kept: a busy gateway does not look at the files at every request."""


class Watch:
    """A set of files and their stamps."""

    def __init__(self, stamps: Mapping[Path, Stamp] | None = None) -> None:
        self._stamps: dict[str, Stamp] = {str(file): found for file, found in (stamps or {}).items()}
        self._unchanged_at = -math.inf

    def add(self, files: Iterable[str | Path]) -> None:
        """Watch these as well, from how they are now."""
        for file in files:
            self._stamps.setdefault(str(file), stamp(file))

    def changed(self, ignored: Container[str] = ()) -> bool:
        """Whether a file that is not ignored differs from its stamp; a change is noticed 20 ms late at most.

        Once a file has changed the answer remains True: who reads the files again makes a new Watch.
        """
        now = time.monotonic()
        if now - self._unchanged_at < INTERVAL:
            return False
        if any(stamp(file) != known for file, known in self._stamps.items() if file not in ignored):
            return True
        self._unchanged_at = now
        return False
