"""The clock of the emulator: what functions, schedules, tokens and time limits of AWS take for the present."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from emulator.containers import Containers
from emulator.runtime.time_travel import REAL, Timeline, system_time

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
"""The clock shows times between these two."""
LONGEST_SLEEP = 3600.0
"""Seconds: the longest single sleep, so that a change of the system's clock is noticed within an hour."""
_SECOND = 1_000_000_000


class ClockError(Exception):
    """A time that the clock cannot show; the text says why."""


class Clock:
    """The system's clock until it is set to another time. It then runs from there, or stands still.

    Ask it for everything that a person expects to follow the time of the functions: expiry, time to live, idle time,
    the times in events. Ask `time` and asyncio themselves for what must stay real: deadlines of functions, sockets,
    pauses between attempts. While nobody has set the clock, `clock.time` and `clock.monotonic` are the functions of
    the module `time`, so asking costs nothing more. Do not keep the two: they are replaced when the clock is set.

    - `clock.time()` and `clock.now()` are the present.
    - `clock.monotonic()` measures how much time has passed: a clock that is set forward has let that time pass, one
      that stands lets none pass, and one that is set back takes none away.
    - `await clock.sleep(600)` ends when 600 seconds have passed by `monotonic`, however they passed; `sleep_until` when
      the clock shows a time. A limit that begins anew with each message needs no new task for each of them:

          while (left := last_message + 600 - clock.monotonic()) > 0:  # last_message = clock.monotonic()
              await clock.sleep(left)
    """

    time: Callable[[], float]
    """Seconds since 1970."""
    monotonic: Callable[[], float]
    """Seconds since some moment; they never become fewer."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._timeline = REAL
        self._passed = 0.0
        self._since = 0.0
        self._changed = asyncio.Event()
        self.time = time.time
        self.monotonic = time.monotonic

    @property
    def running(self) -> bool:
        """Whether time passes by itself."""
        return self._timeline.running

    @property
    def offset(self) -> float:
        """Seconds that the clock is ahead of the system's; below 0 it is behind."""
        return (self._timeline.now() - system_time()) / _SECOND if self._timeline != REAL else 0.0

    def now(self) -> datetime:
        """The present in UTC."""
        return EARLIEST + timedelta(microseconds=self._timeline.now() // 1000)

    async def show(self, moment: datetime | None, *, running: bool) -> None:
        """Show a moment, or go on with the present one; functions see it, and who sleeps is woken.

        Raises ClockError for a moment out of range, and TravelError where the functions cannot be shown another time.
        """
        if moment is None:
            nanoseconds = self._timeline.now()
        elif EARLIEST <= moment < LATEST:
            nanoseconds = (moment - EARLIEST) // timedelta(microseconds=1) * 1000
        else:
            raise ClockError(f"must be from {written(EARLIEST)} until before {written(LATEST)}")
        await self._follow(Timeline(running, nanoseconds - system_time() if running else nanoseconds))

    async def reset(self) -> None:
        """Show the system's time again."""
        await self._follow(REAL)

    async def sleep(self, seconds: float) -> None:
        """Return when so many seconds have passed on the clock."""
        end = self.monotonic() + seconds
        while (left := end - self.monotonic()) > 0:
            await self._wait(left)

    async def sleep_until(self, moment: datetime) -> None:
        """Return when the clock shows this time or a later one."""
        while (left := (moment - self.now()).total_seconds()) > 0:
            await self._wait(left)

    def state(self) -> dict[str, Any]:
        """The clock as JSON."""
        return {"now": written(self.now()), "running": self.running, "offset_seconds": self.offset}

    async def _follow(self, timeline: Timeline) -> None:
        await self._containers.follow(timeline)
        self._passed = self.monotonic() + max(0, timeline.now() - self._timeline.now()) / _SECOND
        self._since = time.monotonic()
        self._timeline = timeline
        self.monotonic = self._monotonic
        self.time = time.time if timeline == REAL else self._time
        self._changed.set()
        self._changed = asyncio.Event()

    def _time(self) -> float:
        return self._timeline.now() / _SECOND

    def _monotonic(self) -> float:
        return self._passed + (time.monotonic() - self._since if self._timeline.running else 0.0)

    async def _wait(self, seconds: float) -> None:
        """Wait until so many seconds have passed, or the clock is set."""
        changed = self._changed
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, LONGEST_SLEEP) if self.running else None):
                await changed.wait()


def written(moment: datetime) -> str:
    """A moment in UTC, as JSON has it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def parsed(text: str) -> datetime:
    """The moment of a text such as `2026-11-22T08:00Z`. Raises ClockError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ClockError(f"{text!r} is no time such as 2026-11-22T08:00Z") from None
    if found.tzinfo is None:
        raise ClockError(f"{text!r} has no time zone: end it with Z, or with an offset such as +01:00")
    return found
