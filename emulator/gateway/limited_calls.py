"""Calls of functions for which a gateway waits a limited time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from emulator.containers import Outcome
from emulator.containers.tasks import Tasks
from emulator.manifest.model import Function
from emulator.service.project import Project


class LimitedCalls:
    """Calls that run on when nobody waits for them any more."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._tasks = Tasks()

    async def outcome(self, function: Function, call: Coroutine[Any, Any, Outcome], seconds: float) -> Outcome | None:
        """The outcome of a call, None when this time passes before the function is done and nobody debugs one."""
        if function.timeout < seconds and not self._project.faults.rules:  # a fault may take longer
            return await call
        task = self._tasks.start(call)
        done, _ = await asyncio.wait((task,), timeout=seconds)
        while not done and self._project.functions.containers.paused:
            done, _ = await asyncio.wait((task,), timeout=1)
        return task.result() if done else None
