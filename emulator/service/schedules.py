"""Calls the functions of a manifest's schedules at their times, and at any time on demand."""

from __future__ import annotations

import asyncio
import functools
import json
import time
import uuid
import zoneinfo
from datetime import UTC, datetime
from typing import Any

from emulator.containers import Outcome
from emulator.containers.tasks import Tasks
from emulator.manifest.account import ACCOUNT_ID, arn
from emulator.manifest.events import cron
from emulator.manifest.model import Manifest, Schedule
from emulator.service import ids
from emulator.service.asynchronous import Asynchronous
from emulator.service.console import Console
from emulator.service.functions import Functions

LONGEST_SLEEP = 3600.0
"""Seconds: the longest single sleep, so that a change of the system's clock is noticed within an hour."""


class Schedules:
    """One task for each enabled schedule of the manifest."""

    def __init__(self, functions: Functions, console: Console, asynchronous: Asynchronous) -> None:
        self._functions = functions
        self._console = console
        self._asynchronous = asynchronous
        self.known: dict[str, Schedule] = {}
        self._clocks = Tasks()

    def start(self, manifest: Manifest) -> None:
        """Run the schedules of this manifest in place of those before."""
        self._clocks.cancel()
        self.known = {schedule.name: schedule for schedule in manifest.schedules}
        for schedule in manifest.schedules:
            if schedule.enabled:
                self._clocks.start(self._call_on_time(schedule))

    async def stop(self) -> None:
        """Make no further call."""
        self._clocks.cancel()
        await self._clocks.wait()

    async def run(self, schedule: Schedule) -> Outcome:
        """Call a schedule's function now."""
        return await self._attempt(schedule, _event(schedule), ids.invocation())

    async def _attempt(self, schedule: Schedule, event: bytes, request_id: str) -> Outcome:
        function = schedule.function
        outcome = await self._functions.invoke(function, event, request_id=request_id)
        result = "ok" if outcome.fault is None else outcome.fault.value
        self._console.line(f"SCHEDULE {schedule.expression}  {result}  {outcome.duration:.1f} ms  {function.name}")
        return outcome

    async def _call_on_time(self, schedule: Schedule) -> None:
        expression, zone = cron.parse(schedule.expression), zoneinfo.ZoneInfo(schedule.timezone)
        due = expression.after(datetime.now(UTC), zone)
        while due is not None:
            while (left := (due - datetime.now(UTC)).total_seconds()) > 0:
                await asyncio.sleep(min(left, LONGEST_SLEEP))
            event, request_id = _event(schedule), ids.invocation()
            attempt = functools.partial(self._attempt, schedule, event, request_id)
            self._asynchronous.start(schedule.function, event, request_id, attempt)
            due = expression.after(due, zone)


def _event(schedule: Schedule) -> bytes:
    return json.dumps(schedule.input.of(event_of_schedule(schedule))).encode()


def event_of_schedule(schedule: Schedule) -> dict[str, Any]:
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
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "region": region,
        "resources": [own if schedule.scheduler else rule],
        "detail": "{}" if schedule.scheduler else {},
    }
