"""The environments of one function: an idle one is used again, a new one started, or a request waits its turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from emulator.containers import Fault, Invocation, Outcome, failed, throttled
from emulator.containers.worker import Worker
from emulator.manifest import Function
from emulator.watch import Watch

Waiting = tuple[Invocation, asyncio.Future[Outcome]]
Starter = Callable[[Worker], Awaitable[None]]
GRACE_SECONDS = 5.0
"""How long an environment may take to end by itself."""


class Pool:
    """Grows with the requests up to a limit; beyond that they queue, and in the end are turned away."""

    def __init__(self, function: Function, starter: Starter, limit: int, queue_seconds: float) -> None:
        self.function = function
        self.starter = starter
        self.limit = limit
        self.queue_seconds = queue_seconds
        self.workers: set[Worker] = set()
        self.idle: list[Worker] = []
        self.waiting: deque[Waiting] = deque()
        self.watch = Watch()
        self.emptied = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

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
        for _ in range(min(count, self.limit - len(self.workers))):
            worker = Worker(self)
            self.workers.add(worker)
            self.emptied.clear()
            task = asyncio.get_running_loop().create_task(self._start(worker))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def renew(self) -> None:
        """The code has changed: nothing runs on what was imported before."""
        self.watch = Watch()
        self.idle.clear()
        for worker in self.workers:
            worker.retired = True
            if not worker.busy and worker.up:
                worker.retire(GRACE_SECONDS)

    def evict(self, before: float) -> None:
        """End the environments that nobody has used since then."""
        for worker in [worker for worker in self.idle if worker.idle_since < before]:
            self.idle.remove(worker)
            worker.retire(GRACE_SECONDS)

    async def close(self) -> None:
        """End them all, and wait until they are."""
        self.idle.clear()
        for worker in self.workers:
            worker.retire(GRACE_SECONDS)
        if self.workers:
            await self.emptied.wait()

    def ready(self, worker: Worker) -> None:
        """A worker is free: it serves whoever has waited longest."""
        if worker.retired:
            worker.retire(GRACE_SECONDS)
        elif waiting := self._next():
            worker.run(*waiting)
        else:
            worker.idle_since = asyncio.get_running_loop().time()
            self.idle.append(worker)

    def broken(self, worker: Worker, outcome: Outcome) -> None:
        """A worker could not start: one of those who wait is told why."""
        if waiting := self._next():
            waiting[1].set_result(outcome)

    def gone(self, worker: Worker) -> None:
        """A worker's process has ended: its place may be taken by another."""
        self.workers.discard(worker)
        if worker in self.idle:
            self.idle.remove(worker)
        if not self.workers:
            self.emptied.set()
        self._grow_for_waiting()

    def loaded(self, files: list[str]) -> None:
        """These files are what the environments run."""
        self.watch.add(files)

    async def _start(self, worker: Worker) -> None:
        try:
            await self.starter(worker)
        except OSError as error:
            self.workers.discard(worker)
            message = f"no process for {self.function.name}: {error.strerror}"
            self.broken(worker, failed(Fault.EXITED, message, "Runtime.ExitError"))

    def _grow_for_waiting(self) -> None:
        starting = sum(not worker.up for worker in self.workers)
        waiting = sum(not future.done() for _, future in self.waiting)
        self.grow(max(0, waiting - starting))

    def _give_up(self, future: asyncio.Future[Outcome]) -> None:
        if future.done() or all(future is not waiting[1] for waiting in self.waiting):
            return
        if any(not worker.up for worker in self.workers):  # one is on its way: it has a time-out of its own
            asyncio.get_running_loop().call_later(1, self._give_up, future)
        else:
            future.set_result(throttled(self.function))

    def _next(self) -> Waiting | None:
        while self.waiting:
            waiting = self.waiting.popleft()
            if not waiting[1].done():
                return waiting
        return None
