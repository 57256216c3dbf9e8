"""A dictionary whose entries expire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
LIMIT = 10_000
"""Entries; the oldest ones beyond it are dropped."""


class ExpiringCache(Generic[K, V]):
    """Keeps each value for the same number of seconds; what has expired does not stay in memory."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._entries: dict[K, tuple[float, V]] = {}  # in the order in which they expire

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value of a key, None when there is none or it has expired."""
        deadline, value = self._entries.get(key, (0.0, None))
        return value if value is not None and self._clock() < deadline else None

    def put(self, key: K, value: V) -> None:
        """Keep a value from now on; with zero seconds nothing is kept."""
        now = self._clock()
        self._entries.pop(key, None)
        if self._seconds > 0:
            self._entries[key] = (now + self._seconds, value)
        while self._entries:
            oldest = next(iter(self._entries))
            if self._entries[oldest][0] > now and len(self._entries) <= LIMIT:
                return
            del self._entries[oldest]
