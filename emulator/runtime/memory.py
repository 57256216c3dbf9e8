"""The most memory that this process has had resident."""

from __future__ import annotations

import os
import re
import resource
import sys

PEAK = re.compile(rb"VmHWM:\s*(\d+)")


FEW_FAULTS = 8
"""Page faults since the last reading up to which it is taken as current."""


class Memory:
    """Asks the operating system, by the cheaper of two ways where that is correct.

    On Linux a new process inherits the peak of the one that started it, so `getrusage` is right only
    once it has grown beyond that; until then `/proc/self/status` has the figure. Memory grows by page faults
    alone, so it is read again only after some of them.
    """

    def __init__(self) -> None:
        self._inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._faults = -FEW_FAULTS
        self._known = self._inherited
        try:
            self._status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._status = -1

    def peak(self) -> int:
        """Kilobytes."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        if usage.ru_maxrss != self._inherited or self._status < 0:
            return usage.ru_maxrss if sys.platform != "darwin" else usage.ru_maxrss // 1024
        if usage.ru_minflt - self._faults >= FEW_FAULTS:
            found = PEAK.search(os.pread(self._status, 4096, 0))
            self._known = int(found[1]) if found else usage.ru_maxrss
            self._faults = usage.ru_minflt
        return self._known
