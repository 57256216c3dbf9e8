"""The environments of one function: a request uses an idle one, starts a new one, or waits in a queue."""

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
    """Starts environments up to a limit; beyond it requests wait, and are throttled after `queue_seconds`."""

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
            self.retire_all()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        if self.idle:
            # The one used last: the others become old enough to be evicted.
            self.idle.pop().run(invocation, future)
            return await future
        self.waiting.append((invocation, future))
        self._grow_for_waiting()
        timer = loop.call_later(self.queue_seconds, self._throttle, future)
        try:
            return await future
        finally:
            timer.cancel()

    def grow(self, count: int) -> None:
        """Start `count` more environments, within the limit."""
        for _ in range(min(count, self.limit - len(self.containers))):
            container = self.make(self)
            self.containers.add(container)
            self.emptied.clear()
            self._tasks.start(self._start(container))

    def retire_all(self) -> None:
        """The code has changed: no further invocation runs in the present environments."""
        self.watch = Watch()
        self.idle.clear()
        for container in self.containers:
            container.retired = True
            if not container.busy and container.up:
                container.retire(GRACE_SECONDS)

    def evict(self, before: float) -> None:
        """End the environments that have been idle since before this time."""
        for container in [container for container in self.idle if container.idle_since < before]:
            self.idle.remove(container)
            container.retire(GRACE_SECONDS)

    async def close(self) -> None:
        """End every environment, and wait until they have ended."""
        self.idle.clear()
        for container in self.containers:
            container.retire(GRACE_SECONDS)
        if self.containers:
            await self.emptied.wait()

    def ready(self, container: Container) -> None:
        """A container is free: it takes the request that has waited longest."""
        if container.retired:
            container.retire(GRACE_SECONDS)
        elif waiting := self._next():
            container.run(*waiting)
        else:
            container.idle_since = asyncio.get_running_loop().time()
            self.idle.append(container)

    def broken(self, container: Container, outcome: Outcome) -> None:
        """A container could not start: the request that has waited longest gets its error."""
        if waiting := self._next():
            waiting[1].set_result(outcome)

    def gone(self, container: Container) -> None:
        """A container's process has ended: another may be started for the requests that wait."""
        self.containers.discard(container)
        if container in self.idle:
            self.idle.remove(container)
        if not self.containers:
            self.emptied.set()
        self._grow_for_waiting()

    def loaded(self, files: list[str]) -> None:
        """The environments have imported these files."""
        self.watch.add(files)

    async def _start(self, container: Container) -> None:
        try:
            await self.starter(container)
        except Exception as error:
            reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            message = f"no process for {self.function.name}: {reason}"
            container.abandon(failed(Fault.EXITED, message, "Runtime.ExitError"))

    def _grow_for_waiting(self) -> None:
        starting = sum(not container.up for container in self.containers)
        waiting = sum(not future.done() for _, future in self.waiting)
        self.grow(max(0, waiting - starting))

    def _throttle(self, future: asyncio.Future[Outcome]) -> None:
        if future.done() or all(future is not waiting[1] for waiting in self.waiting):
            return
        if any(not container.up for container in self.containers):  # one is starting, which has a time limit of its own
            asyncio.get_running_loop().call_later(1, self._throttle, future)
        else:
            future.set_result(throttled(self.function))

    def _next(self) -> Waiting | None:
        while self.waiting:
            waiting = self.waiting.popleft()
            if not waiting[1].done():
                return waiting
        return None
