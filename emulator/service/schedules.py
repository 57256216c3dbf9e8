"""Schedules at work: functions called at their times, and at any time on demand."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from emulator.containers import Outcome
from emulator.containers.tasks import Tasks
from emulator.manifest import cron
from emulator.manifest.account import ACCOUNT_ID, arn
from emulator.manifest.model import Manifest, Schedule
from emulator.service.console import Console
from emulator.service.functions import Functions

LONGEST_SLEEP = 3600.0
"""Seconds: nothing sleeps longer, so that a clock that was set is noticed."""


class Schedules:
    """One task for each enabled schedule of the manifest."""

    def __init__(self, functions: Functions, console: Console) -> None:
        self.functions = functions
        self.console = console
        self.known: dict[str, Schedule] = {}
        self._followers = Tasks()
        self._runs = Tasks()

    def start(self, manifest: Manifest) -> None:
        """Follow the schedules of this manifest, and those of no other."""
        self._followers.cancel()
        self.known = {schedule.name: schedule for schedule in manifest.schedules}
        for schedule in manifest.schedules:
            if schedule.enabled:
                self._followers.start(self._follow(schedule))

    async def stop(self) -> None:
        """Call nothing any more, and let the calls that are under way finish."""
        self._followers.cancel()
        await self._followers.wait()
        await self._runs.wait()

    async def run(self, schedule: Schedule) -> Outcome:
        """Call a schedule's function now."""
        function = schedule.function
        rule = arn("events", function.region, f"rule/{schedule.name}")
        event = event_of_schedule(rule, function.region) if schedule.input is None else schedule.input
        outcome = await self.functions.invoke(function, json.dumps(event).encode())
        told = "ok" if outcome.fault is None else outcome.fault.value
        self.console.line(f"SCHEDULE {schedule.expression}  {told}  {outcome.duration:.1f} ms  {function.name}")
        return outcome

    async def _follow(self, schedule: Schedule) -> None:
        expression = cron.parse(schedule.expression)
        due = expression.after(datetime.now(UTC))
        while due is not None:
            while (left := (due - datetime.now(UTC)).total_seconds()) > 0:
                await asyncio.sleep(min(left, LONGEST_SLEEP))
            # Called beside the clock: a slow function does not shift its next time.
            self._runs.start(self.run(schedule))
            due = expression.after(due)


def event_of_schedule(rule: str, region: str) -> dict[str, Any]:
    """What EventBridge sends to a function on its schedule."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT_ID,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "region": region,
        "resources": [rule],
        "detail": {},
    }
