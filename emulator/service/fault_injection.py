"""Makes an invocation go wrong as the rules say."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus

from emulator.containers import Break, Containers, Fault, Invocation, Outcome, failed, throttled, timed_out
from emulator.manifest.model import Function
from emulator.service import faults
from emulator.service.clock import Clock
from emulator.service.faults import Rule

MESSAGE = "a fault of the emulator's rules"
KIND = "EmulatorFault"
"""The type of the error that a function raises by a rule."""
_BREAKS = {
    faults.COLD: Break.COLD,
    faults.KILL_BEFORE: Break.KILL_BEFORE,
    faults.KILL_AFTER: Break.KILL_AFTER,
}


async def invoke(
    containers: Containers, function: Function, invocation: Invocation, rules: list[Rule], clock: Clock
) -> Outcome:
    """Run an invocation with the faults of these rules; its outcome is that of such a fault."""
    breaks, last = Break(0), None
    for rule in rules:
        if rule.kind == faults.LATENCY:
            await asyncio.sleep(rule.seconds())
        elif rule.kind in _BREAKS:
            breaks |= _BREAKS[rule.kind]
        elif rule.kind != faults.LOST_ANSWER:
            last = rule
    if last is not None:
        return await _instead(function, invocation, last, clock)
    invocation.breaks = breaks or None
    return await containers.invoke(function, invocation)


async def _instead(function: Function, invocation: Invocation, rule: Rule, clock: Clock) -> Outcome:
    """The outcome of an invocation whose function is not called."""
    if rule.kind == faults.ERROR:
        return Outcome(_answer(rule.shape.status or 500))
    if rule.kind == faults.TIMEOUT:
        await asyncio.sleep(rule.seconds(function.timeout))
        return timed_out(function, invocation.request_id, int(clock.time() * 1e9))
    if rule.kind == faults.THROTTLE:
        return throttled(function)
    return failed(Fault.RAISED, MESSAGE, KIND, log=f"[ERROR] {KIND}: {MESSAGE}\n".encode())


def _answer(status: int) -> bytes:
    body = json.dumps({"message": HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"})
    headers = {"content-type": "application/json"}
    return json.dumps({"statusCode": status, "headers": headers, "body": body}).encode()
