"""The import path of functions that share the emulator's process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from emulator.containers import environment
from emulator.manifest.model import Function, Manifest


class ImportPath:
    """`sys.path` for one function at a time, as each has a root and layers of its own."""

    def __init__(self) -> None:
        self._added: list[str] = []
        self._root = ""

    def prepare(self, function: Function, manifest: Manifest, extra: Mapping[str, str]) -> None:
        """Put a function's folders in front, in place of those of the function before.

        What was imported from the root before is forgotten: its modules may have the names of this function's.
        """
        root = str(manifest.root(function))
        own = {**function.environment, **extra}.get("PYTHONPATH", "")
        wanted = [root, *environment.import_path(function, manifest, own)]
        sys.path[:] = [*wanted, *(path for path in sys.path if path not in self._added and path not in wanted)]
        if self._root not in ("", root):
            _forget(self._root, root)
        self._added, self._root = wanted, root


def _forget(old: str, new: str) -> None:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        kept = name.partition(".")[0] == "emulator" or "site-packages" in (file or "")
        if file and not kept and Path(file).is_relative_to(old) and not Path(file).is_relative_to(new):
            del sys.modules[name]
