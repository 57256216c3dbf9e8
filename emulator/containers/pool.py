"""The environments of one function: a request uses an idle one, starts a new one, or waits in a queue."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from emulator.containers import Break, Fault, Figures, Invocation, Outcome, failed, throttled
from emulator.containers.container import Container, Owner
from emulator.containers.tasks import Tasks
from emulator.containers.watch import Watch
from emulator.manifest.model import Function
from emulator.runtime.time_travel import REAL, Timeline

Waiting = tuple[Invocation, asyncio.Future[Outcome]]
Maker = Callable[[Owner], Container]
Starter = Callable[[Container], Awaitable[None]]
GRACE_SECONDS = 5.0
"""How long an environment may take to end by itself."""


class Pool:
    """Starts environments up to a limit; beyond it requests wait, and are throttled after `queue_seconds`."""

    def __init__(
        self,
        function: Function,
        make: Maker,
        starter: Starter,
        limit: int,
        queue_seconds: float,
        written: set[str] | None = None,
        timeline: Timeline = REAL,
    ) -> None:
        self.function = function
        self.timeline = timeline
        self._make = make
        self._starter = starter
        self._limit = limit
        self._queue_seconds = queue_seconds
        self._containers: set[Container] = set()
        self._idle: list[Container] = []
        self._waiting: deque[Waiting] = deque()
        self._watch = Watch()
        self._written = set() if written is None else written
        """The files that functions have written: of every pool that has this set."""
        self._started = 0
        self._memory = 0
        self._emptied = asyncio.Event()
        self._tasks = Tasks()

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Run an invocation in a free environment."""
        if self._watch.changed(self._written) or (invocation.breaks and Break.COLD in invocation.breaks):
            self.retire_all()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        if self._idle:
            # The one used last: the others become old enough to be evicted.
            self._idle.pop().run(invocation, future)
            return await future
        self._waiting.append((invocation, future))
        self._grow_for_waiting()
        timer = loop.call_later(self._queue_seconds, self._throttle, future)
        try:
            return await future
        finally:
            timer.cancel()

    def figures(self) -> Figures:
        """How many environments there are now, and how many have been started."""
        busy = sum(container.busy for container in self._containers)
        starting = sum(not container.up for container in self._containers)
        idle = len(self._containers) - busy - starting
        return Figures(idle, busy, starting, self._started, self._memory)

    def grow(self, count: int) -> None:
        """Start `count` more environments, within the limit."""
        for _ in range(min(count, self._limit - len(self._containers))):
            container = self._make(self)
            self._containers.add(container)
            self._started += 1
            self._emptied.clear()
            self._tasks.start(self._start(container))

    def retire_all(self) -> None:
        """The code has changed: no further invocation runs in the present environments."""
        self._watch = Watch()
        self._idle.clear()
        for container in self._containers:
            self._use_no_more(container)

    def follow(self, timeline: Timeline) -> None:
        """Show this time in every environment; one that cannot takes no further invocation."""
        self.timeline = timeline
        for container in self._containers:
            if not container.follow(timeline):
                if container in self._idle:
                    self._idle.remove(container)
                self._use_no_more(container)

    def evict(self, before: float) -> None:
        """End the environments that have been idle since before this time."""
        for container in [container for container in self._idle if container.idle_since < before]:
            self._idle.remove(container)
            container.retire(GRACE_SECONDS)

    async def close(self) -> None:
        """End every environment, and wait until they have ended."""
        self._idle.clear()
        for container in self._containers:
            container.retire(GRACE_SECONDS)
        await self.ended()

    async def ended(self) -> None:
        """Return when no environment is left."""
        if self._containers:
            await self._emptied.wait()

    def enforce_memory(self) -> None:
        """Kill the environments whose invocation uses more memory than the function has."""
        for container in self._containers:
            if container.busy and container.process.resident() > self.function.memory_size * 1024:
                container.process.kill()

    def ready(self, container: Container) -> None:
        """A container is free: it takes the request that has waited longest."""
        self._memory = max(self._memory, container.peak)
        if container.retired:
            container.retire(GRACE_SECONDS)
        elif waiting := self._next():
            container.run(*waiting)
        else:
            container.idle_since = asyncio.get_running_loop().time()
            self._idle.append(container)

    def broken(self, container: Container, outcome: Outcome) -> None:
        """A container could not start: the request that has waited longest gets its error."""
        if waiting := self._next():
            waiting[1].set_result(outcome)

    def gone(self, container: Container) -> None:
        """A container's process has ended: another may be started for the requests that wait."""
        self._containers.discard(container)
        if container in self._idle:
            self._idle.remove(container)
        if not self._containers:
            self._emptied.set()
        self._grow_for_waiting()

    def loaded(self, read: list[str], written: Iterable[str] = ()) -> None:
        """The environments have imported or read these files, and written those, which are no sources."""
        self._written.update(written)
        self._watch.add(read)

    async def _start(self, container: Container) -> None:
        try:
            await self._starter(container)
        except Exception as error:
            reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            message = f"no process for {self.function.name}: {reason}"
            container.abandon(failed(Fault.EXITED, message, "Runtime.ExitError"))

    def _use_no_more(self, container: Container) -> None:
        container.retired = True
        if not container.busy and container.up:
            container.retire(GRACE_SECONDS)

    def _grow_for_waiting(self) -> None:
        starting = sum(not container.up for container in self._containers)
        waiting = sum(not future.done() for _, future in self._waiting)
        self.grow(max(0, waiting - starting))

    def _throttle(self, future: asyncio.Future[Outcome]) -> None:
        if future.done() or all(future is not waiting[1] for waiting in self._waiting):
            return
        if any(
            not container.up for container in self._containers
        ):  # one is starting, which has a time limit of its own
            asyncio.get_running_loop().call_later(1, self._throttle, future)
        else:
            future.set_result(throttled(self.function))

    def _next(self) -> Waiting | None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting[1].done():
                return waiting
        return None
