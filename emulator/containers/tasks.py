"""Tasks whose result nobody awaits: none of them ends unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Tasks:
    """Holds background tasks until they are done; one that fails is reported with its traceback."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine in the background; the caller may keep the task, but need not."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def cancel(self) -> None:
        """Cancel every task that is still running."""
        for task in self._tasks:
            task.cancel()

    async def wait(self) -> None:
        """Wait until every task is done; what they raise has been reported."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            report(f"{task.get_coro()} failed", error)


async def repeat(seconds: float, action: Callable[[], None]) -> None:
    """Call `action` every so many seconds until cancelled; an exception is reported and does not end it."""
    while True:
        await asyncio.sleep(seconds)
        try:
            action()
        except Exception as error:
            report(f"{action} failed, and will be called again", error)


def report(message: str, error: BaseException) -> None:
    """Write an error of the emulator itself, with its traceback, to standard error."""
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
