"""The environments of one function: an idle one is used again, a new one started, or a request waits its turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from emulator.containers import Fault, Invocation, Outcome, failed, throttled
from emulator.containers.container import Container, Owner
from emulator.containers.tasks import Tasks
from emulator.containers.watch import Watch
from emulator.manifest.model import Function

Waiting = tuple[Invocation, asyncio.Future[Outcome]]
Maker = Callable[[Owner], Container]
Starter = Callable[[Container], Awaitable[None]]
GRACE_SECONDS = 5.0
"""How long an environment may take to end by itself."""


class Pool:
    """Grows with the requests up to a limit; beyond that they queue, and in the end are turned away."""

    def __init__(self, function: Function, make: Maker, starter: Starter, limit: int, queue_seconds: float) -> None:
        self.function = function
        self.make = make
        self.starter = starter
        self.limit = limit
        self.queue_seconds = queue_seconds
        self.containers: set[Container] = set()
        self.idle: list[Container] = []
        self.waiting: deque[Waiting] = deque()
        self.watch = Watch()
        self.emptied = asyncio.Event()
        self._tasks = Tasks()

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Run an invocation in a free environment."""
        if self.watch.changed():
            self.renew()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        if self.idle:
            # The one used last is the warmest, and the others grow old enough to be evicted.
            self.idle.pop().run(invocation, future)
            return await future
        self.waiting.append((invocation, future))
        self._grow_for_waiting()
        timer = loop.call_later(self.queue_seconds, self._give_up, future)
        try:
            return await future
        finally:
            timer.cancel()

    def grow(self, count: int) -> None:
        """Start so many environments, as far as the limit allows."""
        for _ in range(min(count, self.limit - len(self.containers))):
            container = self.make(self)
            self.containers.add(container)
            self.emptied.clear()
            self._tasks.start(self._start(container))

    def renew(self) -> None:
        """The code has changed: nothing runs on what was imported before."""
        self.watch = Watch()
        self.idle.clear()
        for container in self.containers:
            container.retired = True
            if not container.busy and container.up:
                container.retire(GRACE_SECONDS)

    def evict(self, before: float) -> None:
        """End the environments that nobody has used since then."""
        for container in [container for container in self.idle if container.idle_since < before]:
            self.idle.remove(container)
            container.retire(GRACE_SECONDS)

    async def close(self) -> None:
        """End them all, and wait until they are."""
        self.idle.clear()
        for container in self.containers:
            container.retire(GRACE_SECONDS)
        if self.containers:
            await self.emptied.wait()

    def ready(self, container: Container) -> None:
        """A container is free: it serves whoever has waited longest."""
        if container.retired:
            container.retire(GRACE_SECONDS)
        elif waiting := self._next():
            container.run(*waiting)
        else:
            container.idle_since = asyncio.get_running_loop().time()
            self.idle.append(container)

    def broken(self, container: Container, outcome: Outcome) -> None:
        """A container could not start: one of those who wait is told why."""
        if waiting := self._next():
            waiting[1].set_result(outcome)

    def gone(self, container: Container) -> None:
        """A container's process has ended: its place may be taken by another."""
        self.containers.discard(container)
        if container in self.idle:
            self.idle.remove(container)
        if not self.containers:
            self.emptied.set()
        self._grow_for_waiting()

    def loaded(self, files: list[str]) -> None:
        """These files are what the environments run."""
        self.watch.add(files)

    async def _start(self, container: Container) -> None:
        try:
            await self.starter(container)
        except Exception as error:
            reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            message = f"no process for {self.function.name}: {reason}"
            container.give_up(failed(Fault.EXITED, message, "Runtime.ExitError"))

    def _grow_for_waiting(self) -> None:
        starting = sum(not container.up for container in self.containers)
        waiting = sum(not future.done() for _, future in self.waiting)
        self.grow(max(0, waiting - starting))

    def _give_up(self, future: asyncio.Future[Outcome]) -> None:
        if future.done() or all(future is not waiting[1] for waiting in self.waiting):
            return
        if any(not container.up for container in self.containers):  # one is on its way: it has a time-out of its own
            asyncio.get_running_loop().call_later(1, self._give_up, future)
        else:
            future.set_result(throttled(self.function))

    def _next(self) -> Waiting | None:
        while self.waiting:
            waiting = self.waiting.popleft()
            if not waiting[1].done():
                return waiting
        return None
