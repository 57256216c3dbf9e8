"""The files that a function's code opens: those that it reads belong to its sources, as templates and data do."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR
_MOST = 5000
"""Files that are kept in mind."""
_SKIPPED = frozenset({"__pycache__", "site-packages", "node_modules"})


class OpenedFiles:
    """What this process opened under a folder; hidden folders and installed packages are left out."""

    def __init__(self, root: str) -> None:
        self.read: set[str] = set()
        self.written: set[str] = set()
        self._root = os.path.join(root, "")  # noqa: PTH118 - pathlib is slower, and this runs at every open()
        self._seen: set[tuple[Any, bool]] = set()

    def listen(self) -> None:
        """Note every file that Python code opens from now on; what a C library opens is not seen."""
        sys.addaudithook(self._heard)

    def __len__(self) -> int:
        return len(self.read) + len(self.written)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            with contextlib.suppress(Exception):  # an exception would be that of the open()
                self._opened(arguments[0], bool(arguments[2] & _WRITES))

    def _opened(self, name: Any, written: bool) -> None:
        if isinstance(name, int) or (name, written) in self._seen:
            return
        if len(self._seen) >= _MOST:  # a function may open a new file at every call
            self._seen.clear()
        self._seen.add((name, written))
        path = os.path.abspath(os.fsdecode(name))  # noqa: PTH100
        *folders, _ = path[len(self._root) :].split(os.sep)  # noqa: PTH206
        if not path.startswith(self._root) or any(one in _SKIPPED or one[:1] == "." for one in folders):
            return
        if written and len(self.written) < _MOST:
            self.written.add(path)
        elif not written and len(self.read) < _MOST and os.path.isfile(path):  # noqa: PTH113
            self.read.add(path)
