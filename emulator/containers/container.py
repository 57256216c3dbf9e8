"""The emulator's end of one execution environment: an invocation goes in, an outcome comes out, come what may."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Protocol

from emulator.containers import Fault, Invocation, Outcome, exited, failed, timed_out
from emulator.containers.process import Process
from emulator.manifest.model import Function

INIT_SECONDS = 10
EOF_SECONDS = 0.05


class Owner(Protocol):
    """Whoever keeps the container, and hears of it."""

    function: Function

    def ready(self, container: Container) -> None:
        """It can take an invocation."""

    def broken(self, container: Container, outcome: Outcome) -> None:
        """It will never be ready, and this is why."""

    def gone(self, container: Container) -> None:
        """Its process has ended."""

    def loaded(self, files: list[str]) -> None:
        """It has imported these files."""


class Container:
    """A process with a channel: starting, then idle and busy in turn, at last gone.

    How invocations and answers travel is a subclass's business: it implements `start`, `_send` and `_hang_up`,
    and calls `_ready`, `_settle` and `_fail`.
    """

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.function = owner.function
        self.loop = asyncio.get_running_loop()
        self.process = Process(self._exited)
        self.idle_since = 0.0
        self.peak = 0
        self.up = False
        """Whether the start is over, well or badly."""
        self.retired = False
        self._alive = True
        self._started = time.perf_counter()
        self._init: float | None = None
        self._future: asyncio.Future[Outcome] | None = None
        self._request_id = ""
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, python: str, environ: dict[str, str], root: str) -> None:
        """Start the process; the owner is told when it is ready, or that it never will be."""
        raise NotImplementedError

    def run(self, invocation: Invocation, future: asyncio.Future[Outcome]) -> None:
        """Hand over an invocation; whatever happens to the process, the future gets an outcome."""
        self._future = future
        self._request_id = invocation.request_id
        seconds = self.function.timeout
        self._due = self.loop.time() + seconds
        if self._timer is None:
            self._timer = self.loop.call_later(seconds, self._look)
        try:
            self._send(invocation, time.time_ns() // 1_000_000 + seconds * 1000)
        except Exception as error:  # nothing was written: the process is as good as before
            self._settle(failed(Fault.RAISED, f"the event cannot be sent: {error}", type(error).__name__))

    def retire(self, grace: float) -> None:
        """Let the process end by itself: it sees its channel close. Later it is ended."""
        self.retired = True
        self._hang_up()
        self.loop.call_later(grace, self.process.kill)

    def give_up(self, outcome: Outcome) -> None:
        """It could not be started: whatever there is of it ends, and the owner is told."""
        self._fail(outcome)
        if self.process.pid:
            self.process.kill()  # its exit ends the rest
        else:
            self._end("")

    @property
    def busy(self) -> bool:
        """Whether an invocation is under way."""
        return self._future is not None

    def _send(self, invocation: Invocation, deadline: int) -> None:
        raise NotImplementedError

    def _hang_up(self) -> None:
        raise NotImplementedError

    def _expect(self) -> None:
        """The process is being started: it has so long."""
        seconds = max(INIT_SECONDS, self.function.timeout)
        self._due = self.loop.time() + seconds
        self._timer = self.loop.call_later(seconds, self._look)

    def _ready(self) -> None:
        self._init = self._age()
        self.up = True
        self._cancel_timer()
        self.owner.ready(self)

    def _settle(self, outcome: Outcome) -> None:
        """The invocation under way is over."""
        future = self._future
        if future is None:
            return
        self._future = None
        self._due = math.inf
        outcome.log = self.process.take_log()
        outcome.memory = self.peak
        outcome.init, self._init = self._init, None
        if not future.done():
            future.set_result(outcome)
        if outcome.fault not in (Fault.TIMED_OUT, Fault.EXITED):
            self.owner.ready(self)

    def _fail(self, outcome: Outcome) -> None:
        """It never got as far as its first invocation."""
        if not self.up:
            self.up = True
            self._cancel_timer()
            outcome.log = self.process.take_log()
            outcome.memory = self.peak
            outcome.init = self._age()
            self.owner.broken(self, outcome)

    def _look(self) -> None:
        """One timer serves many invocations: when it rings, another one than at first may be under way."""
        self._timer = None
        left = self._due - self.loop.time()
        if left <= 0:
            self._late()
        elif left < math.inf:
            self._timer = self.loop.call_later(left, self._look)

    def _late(self) -> None:
        self._over(timed_out(self.function, self._request_id))
        self.process.kill()

    def _exited(self, reason: str) -> None:
        # Something may still be in the channel. A child that it forked may hold that open: no long wait.
        self.loop.call_later(EOF_SECONDS, self._end, reason)

    def _end(self, reason: str) -> None:
        if self._alive:
            self._alive = False
            self._hang_up()
            self._cancel_timer()
            self._over(exited(self._request_id, reason))
            self.owner.gone(self)

    def _over(self, outcome: Outcome) -> None:
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
