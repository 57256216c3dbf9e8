"""The most memory that this process has had resident."""

from __future__ import annotations

import os
import re
import resource
import sys

PEAK = re.compile(rb"VmHWM:\s*(\d+)")


class Memory:
    """Asks the operating system, the cheap way where that tells the truth.

    On Linux a new process inherits the peak of the one that started it, so `getrusage` is right only
    once it has grown beyond that; until then `/proc/self/status` knows.
    """

    def __init__(self) -> None:
        self.inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            self.status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.status = -1

    def peak(self) -> int:
        """Kilobytes."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if peak == self.inherited and self.status >= 0:
            found = PEAK.search(os.pread(self.status, 4096, 0))
            return int(found[1]) if found else peak
        return peak if sys.platform != "darwin" else peak // 1024
