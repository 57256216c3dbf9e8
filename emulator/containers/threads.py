"""Threads that run functions in the emulator's own process."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]


class Threads:
    """Daemon threads, started as they are needed: one that never ends delays neither the others nor the exit.

    Each has an event loop, as the main thread of a Lambda process has: `asyncio.get_event_loop()` works in a handler.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running = 0
        self._idle = 0
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def submit(self, job: Job) -> None:
        """Run a job on an idle thread, or on a new one while there are fewer than the limit."""
        with self._lock:
            grow = self._idle <= self._jobs.qsize() and self._running < self._limit
            self._running += grow
        self._jobs.put(job)
        if grow:
            threading.Thread(target=self._run, daemon=True, name="function").start()

    def give_up(self) -> None:
        """One thread is stuck: another may take its place."""
        with self._lock:
            self._limit += 1

    def stop(self) -> None:
        """Let idle threads end."""
        for _ in range(self._running):
            self._jobs.put(None)

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            self._work()
        finally:
            loop.close()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job()

    def _next(self) -> Job | None:
        with self._lock:
            self._idle += 1
        job = self._jobs.get()
        with self._lock:
            self._idle -= 1
        return job
