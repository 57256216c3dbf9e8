"""Counts the work for one manifest, and stops when it is too much."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from emulator.manifest.yaml import limits
from emulator.manifest.yaml.document import ManifestError, Where


class Work:
    """The work done so far. Too much work is a ManifestError."""

    def __init__(self) -> None:
        self._spent = 0
        self._nested = 0

    def spend(self, amount: int, where: Where) -> None:
        """Count work, in the unit of `limits.size`."""
        self._spent += amount
        if self._spent > limits.MAX_WORK:
            raise _too_much(where)

    @contextlib.contextmanager
    def level(self, where: Where, levels: int) -> Iterator[None]:
        """Count levels while the values inside a value are resolved."""
        if self._nested + levels > limits.MAX_NESTED:
            raise where.error("too many variables and values that wait for one another")
        self._nested += levels
        try:
            yield
        finally:
            self._nested -= levels

    @staticmethod
    def measured(value: Any, where: Where) -> int:
        """The size of a resolved value, which must be within the limits."""
        total, depth = limits.measured(value)
        if depth > limits.MAX_DEPTH:
            raise where.error(f"more than {limits.MAX_DEPTH} lists and objects within one another")
        if total > limits.MAX_SIZE:
            raise _too_much(where)
        return total


def _too_much(where: Where) -> ManifestError:
    return where.error("more values than a manifest may hold, its variables replaced")
