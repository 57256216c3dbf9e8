"""The time that functions see: the system's, moved by an offset, or standing still.

The library time-machine changes what `datetime`, `time.time` and their kind answer in one process. Monotonic
clocks, and so deadlines, sockets and event loops, stay real. The library is imported when a clock is moved, not before.
"""

from __future__ import annotations

import sys
import time
from typing import Any, NamedTuple

LIBRARY = "time_machine"
_SECOND = 1_000_000_000
_escape: Any = None
"""While this process travels: the library's way to the system's time."""


class Timeline(NamedTuple):
    """What a clock shows. `now` and `of` are its only readers."""

    running: bool = True
    nanoseconds: int = 0
    """Of a running clock the distance from the system's time, else the time since 1970 at which it stands."""

    def now(self) -> int:
        """The time since 1970, in nanoseconds."""
        return system_time() + self.nanoseconds if self.running else self.nanoseconds

    def text(self) -> str:
        """For another process, which reads it with `of`."""
        return f"{'+' if self.running else '='}{self.nanoseconds}"

    @classmethod
    def of(cls, text: str) -> Timeline:
        """The timeline of a text."""
        return cls(text[0] == "+", int(text[1:]))


REAL = Timeline()
"""The system's own time."""


def system_time() -> int:
    """The system's time since 1970 in nanoseconds, in a process that travels, too."""
    return time.time_ns() if _escape is None else int(_escape.time.time_ns())


class Traveller:
    """Moves the time of this process."""

    def __init__(self) -> None:
        self._timeline = REAL
        self._travel: Any = None
        self._moving: Any = None

    def follow(self, timeline: Timeline) -> None:
        """Show this time from now on, on every thread."""
        if timeline == self._timeline:
            return
        if timeline == REAL:
            _leave(self._travel)
            self._travel = None
        else:
            self._show(timeline)
        self._timeline = timeline

    def _show(self, timeline: Timeline) -> None:
        seconds, rest = divmod(timeline.now(), _SECOND)
        if self._travel is None:
            self._travel, self._moving = _enter(seconds, running=timeline.running)
        else:
            self._moving.move_to(seconds, tick=timeline.running)
        # A number of seconds as a float has no exact microseconds.
        self._moving.shift(_duration(rest))
        time.time()  # the library's clock runs from the first time that it is asked


def _enter(seconds: int, *, running: bool) -> tuple[Any, Any]:
    """Start to travel; the library's object that ends it, and the one that moves it."""
    global _escape
    machine = _library()
    travel = machine.travel(seconds, tick=running)
    moving = travel.start()
    _escape = machine.escape_hatch
    return travel, moving


def _leave(travel: Any) -> None:
    global _escape
    travel.stop()
    _escape = None


def _duration(nanoseconds: int) -> Any:
    from datetime import timedelta  # imported here: a worker that does not travel does without it

    return timedelta(microseconds=nanoseconds // 1000)


def _library() -> Any:
    """time-machine, without pytest, which it would import for its plugin where that is installed."""
    absent = "pytest" not in sys.modules
    if absent:
        sys.modules["pytest"] = None  # type: ignore[assignment]
    try:
        return __import__(LIBRARY)
    finally:
        if absent:
            del sys.modules["pytest"]
