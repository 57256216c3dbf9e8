"""Debuggers: while somebody is at a prompt no time limit counts."""

from __future__ import annotations

import os
import pdb
import sys
import threading
from typing import Any

DEBUGGING_SECONDS = 1.0
"""How often is looked whether the debugger is still there, once a time limit is over."""


def attached() -> bool:
    """Whether a debugger of an editor is connected: debugpy's (VS Code), or pydevd (PyCharm)."""
    debugpy = sys.modules.get("debugpy")
    if debugpy is not None:
        return bool(debugpy.is_client_connected())
    return "pydevd" in sys.modules


class Prompt:
    """`breakpoint()` in functions that share this process: one invocation at a time reaches the prompt.

    It has the prompt to its end; others that reach a breakpoint wait for that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0
        self._stopped: set[int] = set()

    def install(self) -> None:
        """Take the place of Python's own hook."""
        sys.breakpointhook = self._stop

    def uninstall(self) -> None:
        """Put Python's own hook back."""
        sys.breakpointhook = sys.__breakpointhook__

    @property
    def in_use(self) -> bool:
        """Whether an invocation has stopped at a breakpoint, or waits to do so."""
        return bool(self._stopped)

    def stopped(self, thread: int) -> bool:
        """Whether the invocation of this thread has."""
        return thread in self._stopped

    def release(self) -> None:
        """The invocation on the current thread has ended: the next one may have the prompt."""
        thread = threading.get_ident()
        self._stopped.discard(thread)
        if self._owner == thread:
            sys.settrace(None)
            self._owner = 0
            self._lock.release()

    def _stop(self, *arguments: Any, **named: Any) -> Any:
        thread = threading.get_ident()
        self._stopped.add(thread)
        if self._owner != thread:
            self._lock.acquire()
            self._owner = thread
        if os.environ.get("PYTHONBREAKPOINT"):
            return sys.__breakpointhook__(*arguments, **named)
        pdb.Pdb(nosigint=True).set_trace(sys._getframe(1))
        return None
