"""Travel in time: the clock is set, goes back to the system's time, or advances and calls the schedules on the way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from emulator.service.clock import LATEST, Clock, ClockError, written
from emulator.service.schedules import Run, Schedules

MOST_RUNS = 1000
"""Calls of schedules during one advance."""
MOST_SECONDS = 30.0
"""Real seconds of one advance after which no further call begins."""
_NOTICED = timedelta(milliseconds=1)
"""The smallest step back that is one: the system's clock itself is corrected by less."""


@dataclass(slots=True)
class Advance:
    """What ran while the clock advanced, in this order, and what should have but did not."""

    ran: list[Run] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Schedules that were due after the last run."""


class Travel:
    """Moves the clock, one move at a time."""

    def __init__(self, clock: Clock, schedules: Schedules) -> None:
        self._clock = clock
        self._schedules = schedules

    async def show(self, moment: datetime | None, *, running: bool) -> bool:
        """Set the clock; whether that was back in time. Schedules in between are not called.

        Raises ClockError and TravelError, as the clock does.
        """
        async with self._schedules.held:
            before = self._clock.now()
            await self._clock.show(moment, running=running)
            return self._arrived(before)

    async def reset(self) -> bool:
        """Go back to the system's time; whether that was back in time. Schedules in between are not called."""
        async with self._schedules.held:
            before = self._clock.now()
            await self._clock.reset()
            return self._arrived(before)

    async def advance(self, seconds: float) -> Advance:
        """Let time pass, and call each schedule at its time; the answer of one is awaited before the next.

        Raises ClockError where that leads too far, and TravelError.
        """
        async with self._schedules.held:
            end = self._end(seconds)
            made = Advance()
            limit = asyncio.get_running_loop().time() + MOST_SECONDS
            while found := self._schedules.due(end):
                if len(made.ran) == MOST_RUNS or asyncio.get_running_loop().time() > limit:
                    made.left_out = self._schedules.names_due(end)
                    self._schedules.skip(end)
                    break
                due, schedule = found
                await self._move(due)
                made.ran.append(await self._schedules.call(schedule, due))
            await self._move(end)
            return made

    def _end(self, seconds: float) -> datetime:
        try:
            end = self._clock.now() + timedelta(seconds=seconds)
        except (OverflowError, ValueError):  # NaN is a ValueError
            end = LATEST
        if not seconds > 0:
            raise ClockError("must be above 0: time passes forward only")
        if end >= LATEST:
            raise ClockError(f"leads to {written(LATEST)} or beyond it")
        return end

    async def _move(self, moment: datetime) -> None:
        if moment > self._clock.now():  # a running clock may be there already
            await self._clock.show(moment, running=self._clock.running)

    def _arrived(self, before: datetime) -> bool:
        self._schedules.plan()
        return self._clock.now() < before - _NOTICED
