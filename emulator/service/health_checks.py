"""The health checks of load balancers: functions are called as on AWS, and a change is one line in the console."""

from __future__ import annotations

import asyncio
import json

from emulator.containers import Outcome
from emulator.containers.tasks import Tasks
from emulator.manifest.events.alb_model import AlbHealthCheck, AlbRule
from emulator.manifest.model import Manifest
from emulator.service.console import Console
from emulator.service.functions import Functions


class HealthChecks:
    """One task for each rule with a health check.

    Requests reach an unhealthy function, too: a load balancer uses its targets when none of them is healthy.
    """

    def __init__(self, functions: Functions, console: Console) -> None:
        self._functions = functions
        self._console = console
        self._clocks = Tasks()

    def start(self, manifest: Manifest) -> None:
        """Make the checks of this manifest in place of those before."""
        self._clocks.cancel()
        for rule in manifest.alb_rules:
            if rule.health_check is not None:
                self._clocks.start(self._repeat(manifest, rule, rule.health_check))

    async def stop(self) -> None:
        """Make no further check."""
        self._clocks.cancel()
        await self._clocks.wait()

    async def _repeat(self, manifest: Manifest, rule: AlbRule, check: AlbHealthCheck) -> None:
        event = json.dumps(_event(rule, check.path)).encode()
        before = None
        while True:
            outcome = await self._functions.invoke(manifest.functions[rule.function], event)
            result = _result(outcome, check.statuses)
            if result != before:
                self._console.line(f"HEALTH  {check.path}  {result}  {rule.function}")
            before = result
            await asyncio.sleep(check.seconds)


def _event(rule: AlbRule, path: str) -> dict[str, object]:
    agent = "ELB-HealthChecker/2.0"
    values: dict[str, object] = (
        {"multiValueQueryStringParameters": {}, "multiValueHeaders": {"user-agent": [agent]}}
        if rule.multi_value
        else {"queryStringParameters": {}, "headers": {"user-agent": agent}}
    )
    elb = {"elb": {"targetGroupArn": rule.target_group}}
    return {"requestContext": elb, "httpMethod": "GET", "path": path, **values, "body": "", "isBase64Encoded": False}


def _result(outcome: Outcome, statuses: str) -> str:
    """`healthy`, or `unhealthy` and why."""
    if outcome.fault is not None:
        return f"unhealthy: {outcome.fault.value}"
    answer = outcome.value
    status = answer.get("statusCode") if isinstance(answer, dict) else None
    return "healthy" if isinstance(status, int) and _is_among(status, statuses) else f"unhealthy: status {status}"


def _is_among(status: int, statuses: str) -> bool:
    """Whether a status is in a list such as `200-299,301`."""
    bounds = (part.partition("-") for part in statuses.split(","))
    return any(int(low) <= status <= int(high or low) for low, _, high in bounds)
