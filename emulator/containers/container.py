"""The emulator's side of one execution environment: every invocation gets an outcome, whatever the process does."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable
from typing import Protocol

from emulator.containers import Break, Fault, Invocation, Outcome, debugging, exited, failed, timed_out
from emulator.containers.process import Process
from emulator.manifest.model import Function
from emulator.runtime.time_travel import Timeline

INIT_SECONDS = 10
EOF_SECONDS = 0.05


class Owner(Protocol):
    """Keeps the container, and is called when its state changes."""

    function: Function
    timeline: Timeline
    """What the function's clock shows."""

    def ready(self, container: Container) -> None:
        """It can take an invocation."""

    def broken(self, container: Container, outcome: Outcome) -> None:
        """It could not start; the outcome says why."""

    def gone(self, container: Container) -> None:
        """Its process has ended."""

    def loaded(self, read: list[str], written: Iterable[str] = ()) -> None:
        """It has imported or read these files, and written those."""


class Container:
    """A process with a channel to it. It starts, is idle and busy in turn, and ends.

    A subclass defines the channel: it implements `start`, `follow`, `_send` and `_close_channel`, and calls `_ready`,
    `_settle` and `_fail`.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.function = owner.function
        self._loop = asyncio.get_running_loop()
        self.process = Process(self._exited)
        self.idle_since = 0.0
        self.peak = 0
        self.up = False
        """Whether the start is over, with success or without."""
        self.retired = False
        self._alive = True
        self._started = time.perf_counter()
        self._init: float | None = None
        self._future: asyncio.Future[Outcome] | None = None
        self._request_id = ""
        self._kill_after = False
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, python: str, environ: dict[str, str], root: str) -> None:
        """Start the process; the owner's `ready` or `broken` is called later."""
        raise NotImplementedError

    def run(self, invocation: Invocation, future: asyncio.Future[Outcome]) -> None:
        """Hand over an invocation; whatever happens to the process, the future gets an outcome."""
        self._future = future
        self._request_id = invocation.request_id
        seconds = self.function.timeout
        self._due = self._loop.time() + seconds
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._check_deadline)
        self._kill_after = False
        if invocation.breaks:
            self._kill_after = Break.KILL_AFTER in invocation.breaks
            if Break.KILL_BEFORE in invocation.breaks:
                self.process.kill()  # its exit does the rest
                return
        try:
            self._send(invocation, time.monotonic() + seconds)
        except Exception as error:  # nothing was written: the process can take the next event
            self._settle(failed(Fault.RAISED, f"the event cannot be sent: {error}", type(error).__name__))

    def follow(self, timeline: Timeline) -> bool:
        """Show this time from the next invocation on; False when only a new process can."""
        raise NotImplementedError

    def retire(self, grace: float) -> None:
        """Close the channel, which lets the process end by itself; after `grace` seconds it is killed."""
        self.retired = True
        self._close_channel()
        self._loop.call_later(grace, self.process.kill)

    def abandon(self, outcome: Outcome) -> None:
        """Its start has failed: call the owner's `broken`, kill the process if there is one, then call `gone`."""
        self._fail(outcome)
        if self.process.pid:
            self.process.kill()  # its exit does the rest
        else:
            self._end("")

    @property
    def busy(self) -> bool:
        """Whether an invocation is under way."""
        return self._future is not None

    def _send(self, invocation: Invocation, deadline: float) -> None:
        """Hand over an invocation; `deadline` is a time of `time.monotonic`."""
        raise NotImplementedError

    def _close_channel(self) -> None:
        raise NotImplementedError

    def _limit_start(self) -> None:
        """The process is being started: set the time limit of its start."""
        seconds = max(INIT_SECONDS, self.function.timeout)
        self._due = self._loop.time() + seconds
        self._timer = self._loop.call_later(seconds, self._check_deadline)

    def _ready(self) -> None:
        self._init = self._age()
        self.up = True
        self._cancel_timer()
        self._owner.ready(self)

    def _settle(self, outcome: Outcome) -> None:
        """The invocation under way is over."""
        future = self._future
        if future is None:
            return
        if self._kill_after and outcome.fault not in (Fault.TIMED_OUT, Fault.EXITED):
            self._kill_after = False
            self.process.kill()
            return
        self._future = None
        self._due = math.inf
        outcome.log = self.process.take_log()
        outcome.memory = self.peak
        outcome.init, self._init = self._init, None
        if not future.done():
            future.set_result(outcome)
        if outcome.fault not in (Fault.TIMED_OUT, Fault.EXITED):
            self._owner.ready(self)

    def _fail(self, outcome: Outcome) -> None:
        """The start is over without success."""
        if not self.up:
            self.up = True
            self._cancel_timer()
            outcome.log = self.process.take_log()
            outcome.memory = self.peak
            outcome.init = self._age()
            self._owner.broken(self, outcome)

    def _check_deadline(self) -> None:
        """One timer serves many invocations: when it fires, the deadline may be that of a later one."""
        self._timer = None
        left = self._due - self._loop.time()
        if left <= 0 and debugging.attached():
            self._timer = self._loop.call_later(debugging.DEBUGGING_SECONDS, self._check_deadline)
        elif left <= 0:
            self._time_out()
        elif left < math.inf:
            self._timer = self._loop.call_later(left, self._check_deadline)

    def _time_out(self) -> None:
        self._finish(timed_out(self.function, self._request_id, self._owner.timeline.now()))
        self.process.kill()

    def _exited(self, reason: str) -> None:
        # An answer may still be in the channel. A forked child may hold the channel open, so the wait is short.
        self._loop.call_later(EOF_SECONDS, self._end, reason)

    def _end(self, reason: str) -> None:
        if self._alive:
            self._alive = False
            self._close_channel()
            self._cancel_timer()
            self._finish(exited(self._request_id, reason))
            self._owner.gone(self)

    def _finish(self, outcome: Outcome) -> None:
        if self.up:
            self._settle(outcome)
        else:
            self._fail(outcome)

    def _age(self) -> float:
        return (time.perf_counter() - self._started) * 1000

    def _cancel_timer(self) -> None:
        self._due = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
