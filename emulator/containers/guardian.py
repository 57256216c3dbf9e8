"""A process that kills the functions' processes when the emulator has died, where the kernel cannot: only Linux can."""

from __future__ import annotations

import atexit
import contextlib
import subprocess
import sys
from typing import IO

PROGRAM = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""


class Guardian:
    """Started with the first process group that it watches. It notices the emulator's death by its input's end."""

    def __init__(self) -> None:
        self._popen: subprocess.Popen[str] | None = None

    def watch(self, group: int) -> None:
        """Kill this process group when the emulator dies."""
        self._tell(f"+{group}")

    def forget(self, group: int) -> None:
        """The group has ended: its number may be another's from now on."""
        self._tell(f"-{group}")

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # somebody killed it
            print(line, file=self._input(), flush=True)

    def _input(self) -> IO[str]:
        if self._popen is None:
            # In a session of its own, so that Ctrl-C does not end it before the emulator.
            self._popen = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-S", "-c", PROGRAM], stdin=subprocess.PIPE, text=True, start_new_session=True
            )
            atexit.register(self._end)
        assert self._popen.stdin is not None
        return self._popen.stdin

    def _end(self) -> None:
        assert self._popen is not None
        with contextlib.suppress(BrokenPipeError):
            self._input().close()
        self._popen.wait()
