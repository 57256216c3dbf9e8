"""Asynchronous invocations: one that fails is tried again, and what came of it goes to the function's destination."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from emulator.containers import Fault, Outcome, stamp
from emulator.containers.tasks import Tasks
from emulator.manifest.model import QUALIFIER, Function
from emulator.service import faults, ids
from emulator.service.console import Console
from emulator.service.functions import Functions

PAUSES = (1.0, 2.0)
"""Seconds before the second and the third attempt; on AWS these are minutes."""
LONGEST_CHAIN = 16
"""Destinations after one another, after which AWS takes them for a loop, and stops."""

Attempt = Callable[[], Awaitable[Outcome]]


class Asynchronous:
    """Runs invocations whose callers do not wait for the answer.

    An invocation that was throttled is tried again without a limit, as it never ran. When the emulator stops,
    attempts that run are waited for, and none follows.
    """

    def __init__(self, functions: Functions, console: Console, find: Callable[[str], Function | None]) -> None:
        self._functions = functions
        self._console = console
        self._find = find
        self._tasks = Tasks()
        self._stopping = asyncio.Event()

    def start(self, function: Function, payload: bytes, request_id: str, attempt: Attempt) -> None:
        """Run an invocation in the background; each attempt is a call of `attempt`."""
        self._tasks.start(self._run(function, payload, request_id, attempt, 0))

    async def stop(self) -> None:
        """Begin no further attempt, and wait for those that run."""
        self._stopping.set()
        await self._tasks.wait()

    async def _run(self, function: Function, payload: bytes, request_id: str, attempt: Attempt, depth: int) -> None:
        faults.leave_exchange()
        attempts = 1
        outcome = await attempt()
        while outcome.fault is Fault.THROTTLED or (outcome.fault and attempts <= function.retries):
            throttled = outcome.fault is Fault.THROTTLED
            if not await self._pause(function, outcome.fault, attempts + (not throttled)):
                return
            attempts += not throttled
            outcome = await attempt()
        self._deliver(function, self._record(function, payload, request_id, outcome, attempts), depth)

    async def _pause(self, function: Function, fault: Fault, attempt: int) -> bool:
        """Wait until the next attempt is due; False when the emulator stops before."""
        seconds = PAUSES[min(attempt - 2, len(PAUSES) - 1)] if attempt > 1 else PAUSES[0]
        of = f"attempt {attempt} of {function.retries + 1}"
        if not self._stopping.is_set():
            self._console.line(f"RETRY   {function.full_name}  {fault.value}: {of} in {seconds:g} s  {function.name}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)
        if self._stopping.is_set():
            self._console.line(f"RETRY   {function.full_name}  the emulator stops: no {of}  {function.name}")
            return False
        return True

    def _deliver(self, function: Function, record: dict[str, Any], depth: int) -> None:
        failed = record["requestContext"]["condition"] != "Success"
        name, kind = (function.on_failure, "onFailure") if failed else (function.on_success, "onSuccess")
        target = self._find(name) if name else None
        if target is None:
            return
        if depth == LONGEST_CHAIN:
            self._console.line(f"{kind} of {function.name} is a loop: not sent to {target.name}")
            return
        payload, request_id = json.dumps(record).encode(), ids.invocation()
        attempt = self._attempt(target, payload, request_id, f"{kind} of {function.name}")
        self._tasks.start(self._run(target, payload, request_id, attempt, depth + 1))

    def _attempt(self, function: Function, payload: bytes, request_id: str, reason: str) -> Attempt:
        async def attempt() -> Outcome:
            outcome = await self._functions.invoke(function, payload, request_id=request_id)
            result = "ok" if outcome.fault is None else outcome.fault.value
            line = f"INVOKE  {function.full_name}  {result}  {outcome.duration:.1f} ms  {function.name}  ({reason})"
            self._console.line(line)
            return outcome

        return attempt

    def _record(
        self, function: Function, payload: bytes, request_id: str, outcome: Outcome, attempts: int
    ) -> dict[str, Any]:
        """What a destination receives."""
        response = {"statusCode": 200, "executedVersion": QUALIFIER}
        return {
            "version": "1.0",
            "timestamp": stamp(self._functions.clock.time()),
            "requestContext": {
                "requestId": request_id,
                "functionArn": f"{function.arn}:{QUALIFIER}",
                "condition": "RetriesExhausted" if outcome.fault else "Success",
                "approximateInvokeCount": attempts,
            },
            "requestPayload": json.loads(payload),
            "responseContext": response | ({"functionError": "Unhandled"} if outcome.fault else {}),
            "responsePayload": outcome.value,
        }
