"""Calls the functions of a manifest's schedules at their times, and at any time on demand."""

from __future__ import annotations

import asyncio
import json
import uuid
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from emulator.containers import Outcome
from emulator.containers.tasks import Tasks, report
from emulator.manifest.account import ACCOUNT_ID, arn
from emulator.manifest.events import cron
from emulator.manifest.model import Manifest, Schedule
from emulator.service import ids
from emulator.service.asynchronous import Asynchronous
from emulator.service.console import Console
from emulator.service.functions import Functions


@dataclass(frozen=True, slots=True)
class Run:
    """One call of a schedule's function that was due."""

    schedule: Schedule
    due: datetime
    outcome: Outcome


class Schedules:
    """Calls each enabled schedule of the manifest when the clock shows its time."""

    def __init__(self, functions: Functions, console: Console, asynchronous: Asynchronous) -> None:
        self._functions = functions
        self._console = console
        self._asynchronous = asynchronous
        self._clock = functions.clock
        self.known: dict[str, Schedule] = {}
        self._next: dict[str, datetime] = {}
        """When each is due; without those that are never due again."""
        self._tasks = Tasks()
        self.held = asyncio.Lock()
        """Who holds it calls what is due; the others wait."""

    def start(self, manifest: Manifest) -> None:
        """Run the schedules of this manifest in place of those before, from the present of the clock on."""
        self.known = {schedule.name: schedule for schedule in manifest.schedules}
        self.plan()

    def plan(self) -> None:
        """Find out again when each is due next, after the present of the clock."""
        self._tasks.cancel()
        self._next = {}
        now = self._clock.now()
        for schedule in self.known.values():
            if schedule.enabled:
                self._plan(schedule, now)
        self._tasks.start(self._call_on_time())

    async def stop(self) -> None:
        """Make no further call."""
        self._tasks.cancel()
        await self._tasks.wait()

    async def run(self, schedule: Schedule) -> Outcome:
        """Call a schedule's function now."""
        return await self._attempt(schedule, _event(schedule, self._clock.now()), ids.invocation())

    def next_time(self, schedule: Schedule) -> datetime | None:
        """When it is due next, by the clock; None when never, or when it is not enabled."""
        return self._next.get(schedule.name)

    def due(self, until: datetime) -> tuple[datetime, Schedule] | None:
        """The schedule that is due first, and when; None when none is until this time."""
        if not self._next:
            return None
        name = min(self._next, key=self._next.__getitem__)
        return (self._next[name], self.known[name]) if self._next[name] <= until else None

    def names_due(self, until: datetime) -> list[str]:
        """The schedules that are due until this time."""
        return [name for name, due in self._next.items() if due <= until]

    def skip(self, until: datetime) -> None:
        """Leave out what is due until this time."""
        for name in self.names_due(until):
            self._plan(self.known[name], until)

    async def call(self, schedule: Schedule, due: datetime) -> Run:
        """Call a schedule's function for the time at which it was due; further attempts do not delay the answer."""
        return Run(schedule, due, await self._begin(schedule, due))

    def _begin(self, schedule: Schedule, due: datetime) -> asyncio.Future[Outcome]:
        """Call it in the background; the outcome is that of the first attempt."""
        self._plan(schedule, due)
        first: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        event, request_id = _event(schedule, due), ids.invocation()

        async def attempt() -> Outcome:
            outcome = await self._attempt(schedule, event, request_id)
            if not first.done():
                first.set_result(outcome)
            return outcome

        self._asynchronous.start(schedule.function, event, request_id, attempt)
        return first

    async def _attempt(self, schedule: Schedule, event: bytes, request_id: str) -> Outcome:
        function = schedule.function
        outcome = await self._functions.invoke(function, event, request_id=request_id)
        result = "ok" if outcome.fault is None else outcome.fault.value
        self._console.line(f"SCHEDULE {schedule.expression}  {result}  {outcome.duration:.1f} ms  {function.name}")
        return outcome

    def _plan(self, schedule: Schedule, after: datetime) -> None:
        self._next.pop(schedule.name, None)
        try:
            due = cron.parse(schedule.expression).after(after, zoneinfo.ZoneInfo(schedule.timezone))
        except Exception as error:  # the others are called all the same
            report(f"{schedule.name} is not called any more: its next time cannot be found", error)
        else:
            if due is not None:
                self._next[schedule.name] = due

    async def _call_on_time(self) -> None:
        while self._next:
            await self._clock.sleep_until(min(self._next.values()))
            async with self.held:
                while found := self.due(self._clock.now()):
                    due, schedule = found
                    self._begin(schedule, due)


def _event(schedule: Schedule, due: datetime) -> bytes:
    return json.dumps(schedule.input.of(event_of_schedule(schedule, due))).encode()


def event_of_schedule(schedule: Schedule, due: datetime) -> dict[str, Any]:
    """What a rule of EventBridge, or EventBridge Scheduler, sends to a function at its time."""
    region = schedule.function.region
    rule = arn("events", region, f"rule/{schedule.name}")
    own = arn("scheduler", region, f"schedule/{schedule.group}/{schedule.name}")
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler" if schedule.scheduler else "aws.events",
        "account": ACCOUNT_ID,
        "time": f"{due.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "region": region,
        "resources": [own if schedule.scheduler else rule],
        "detail": "{}" if schedule.scheduler else {},
    }
