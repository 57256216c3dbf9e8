"""Every function in processes of its own, as on Lambda: each runs one request at a time and stays warm."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field

from emulator.containers import Figures, Invocation, Outcome, TravelError, debugging, environment
from emulator.containers.container import Container
from emulator.containers.pool import Maker, Pool
from emulator.containers.tasks import Tasks, repeat
from emulator.containers.worker import Worker
from emulator.manifest.model import Function, Manifest
from emulator.runtime.time_travel import LIBRARY, REAL, Timeline


@dataclass(frozen=True)
class Settings:
    """How many environments there may be, how long they live, and what they run with."""

    max_containers: int = 4
    """For each function."""
    queue_seconds: float = 10.0
    idle_seconds: float = 300.0
    prewarm: int = 0
    enforce_memory: bool = False
    python: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = ""
    """The emulator's own URL, empty where it is no server."""


class WorkerContainers:
    """A pool of worker processes for each function."""

    isolated = True
    SWEEP_SECONDS = 1.0
    MEMORY_SECONDS = 0.05

    def __init__(self, manifest: Manifest, settings: Settings, make: Maker = Worker) -> None:
        self._manifest = manifest
        self._settings = settings
        self._make = make
        self._pools: dict[str, Pool] = {}
        self._written: set[str] = set()
        self._timeline = REAL
        self._can_travel = False
        self._draining = Tasks()
        self._checks = Tasks()

    async def start(self) -> None:
        """Start the prewarmed environments and the periodic checks."""
        for function in self._manifest.functions.values():
            self._pool(function).grow(self._settings.prewarm)
        self._checks.start(repeat(min(self.SWEEP_SECONDS, self._settings.idle_seconds / 2), self._evict))
        if self._settings.enforce_memory:
            self._checks.start(repeat(self.MEMORY_SECONDS, self._enforce_memory))

    @property
    def paused(self) -> bool:
        """Whether somebody debugs a function: no time limit counts."""
        return debugging.attached()

    def invoke(self, function: Function, invocation: Invocation) -> Awaitable[Outcome]:
        """Run a function in one of its environments."""
        pool = self._pools.get(function.name) or self._pool(function)
        return pool.invoke(invocation)

    def figures(self, function: Function) -> Figures:
        """The function's environments now."""
        return (self._pools.get(function.name) or self._pool(function)).figures()

    def replace(self, manifest: Manifest) -> None:
        """Use a changed manifest: environments of the old one finish what they run, and end."""
        self._manifest = manifest
        for pool in self._pools.values():
            pool.retire_all()
            self._draining.start(pool.ended())
        self._pools = {}

    async def follow(self, timeline: Timeline) -> None:
        """Show this time in every environment, from its next invocation on."""
        if timeline != REAL and not self._can_travel:
            await _check_library(self._settings.python or sys.executable)
            self._can_travel = True
        self._timeline = timeline
        for pool in self._pools.values():
            pool.follow(timeline)

    async def stop(self) -> None:
        """End every environment; each may finish what it registered for its exit."""
        self._checks.cancel()
        await asyncio.gather(*(pool.close() for pool in self._pools.values()), self._draining.wait())

    def _pool(self, function: Function) -> Pool:
        limit, queue_seconds = self._settings.max_containers, self._settings.queue_seconds
        pool = Pool(function, self._make, self._start, limit, queue_seconds, self._written, self._timeline)
        self._pools[function.name] = pool
        return pool

    async def _start(self, container: Container) -> None:
        environ = environment.complete(
            container.function, self._manifest, self._settings.extra, self._settings.endpoint
        )
        await container.start(self._settings.python, environ, str(self._manifest.root(container.function)))

    def _evict(self) -> None:
        before = asyncio.get_running_loop().time() - self._settings.idle_seconds
        for pool in self._pools.values():
            pool.evict(before)

    def _enforce_memory(self) -> None:
        for pool in self._pools.values():
            pool.enforce_memory()


async def _check_library(python: str) -> None:
    """Raise a TravelError for an interpreter without the library that moves its time."""
    command = (python, "-c", f"import {LIBRARY}")
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=quiet, stderr=quiet)
    if await process.wait():
        raise TravelError(f"{python} has no package time-machine, which moves the time: install it there with pip")
