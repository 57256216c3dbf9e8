"""The emulator's end of one worker process: an invocation goes in, an outcome comes out."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from pathlib import Path
from typing import Protocol, cast

from emulator.containers import Fault, Invocation, Outcome, exited, timed_out
from emulator.containers.process import Process
from emulator.manifest import Function
from emulator.runtime.worker import ANSWER, ERROR, FILES, INIT_ERROR, LENGTH, READY, REPLY, REQUEST

INIT_SECONDS = 10
EOF_SECONDS = 0.05
BOOT = """import sys
sys.path[0] = sys.argv[3]
from emulator.runtime.worker import main
main(int(sys.argv[1]), sys.argv[2])"""
HOME = str(Path(__file__).parents[2])


class Owner(Protocol):
    """Whoever keeps the worker, and hears of it."""

    function: Function

    def ready(self, worker: Worker) -> None:
        """It can take an invocation."""

    def broken(self, worker: Worker, outcome: Outcome) -> None:
        """It will never be ready, and this is why."""

    def gone(self, worker: Worker) -> None:
        """Its process has ended."""

    def loaded(self, files: list[str]) -> None:
        """It has imported these files."""


class Worker(asyncio.Protocol):
    """One worker process: starting, then idle and busy in turn, at last gone."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.function = owner.function
        self.loop = asyncio.get_running_loop()
        self.process = Process(self._exited)
        self.started = time.perf_counter()
        self.init: float | None = None
        self.idle_since = 0.0
        self.retired = False
        self.alive = True
        self.peak = 0
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._future: asyncio.Future[Outcome] | None = None
        self._request_id = ""
        self._timer: asyncio.TimerHandle | None = None
        self._reason = ""
        self.up = False

    async def start(self, python: str, environ: dict[str, str], root: str) -> None:
        """Start the process; the owner is told when it is ready, or that it never will be."""
        ours, theirs = socket.socketpair()
        with theirs:
            command = [python or sys.executable, "-c", BOOT, str(theirs.fileno()), root, HOME]
            environ["_INVOKED_FUNCTION_ARN"] = self.function.arn
            self.process.start(command, environ, root, theirs)
        limit = max(INIT_SECONDS, self.function.timeout)
        self._timer = self.loop.call_later(limit, self._late)
        await self.loop.create_connection(lambda: self, sock=ours)

    def run(self, invocation: Invocation, future: asyncio.Future[Outcome]) -> None:
        """Hand over an invocation; whatever happens to the process, the future gets an outcome."""
        assert self._transport is not None
        self._future = future
        self._request_id = invocation.request_id
        seconds = self.function.timeout
        deadline = time.time_ns() // 1_000_000 + seconds * 1000
        head = f"{invocation.request_id}\t{deadline}\t{invocation.trace_id}\t{invocation.client_context}".encode()
        length = REQUEST.size - LENGTH.size + len(head) + len(invocation.payload)
        self._timer = self.loop.call_later(seconds, self._late)
        self._transport.write(REQUEST.pack(length, len(head)) + head + invocation.payload)

    def retire(self, grace: float) -> None:
        """Let the process end by itself: it sees its channel close. Later it is ended."""
        self.retired = True
        if self._transport is not None:
            self._transport.close()
        self.loop.call_later(grace, self.process.kill)

    @property
    def busy(self) -> bool:
        """Whether an invocation is under way."""
        return self._future is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        while len(data) >= REPLY.size:
            length, kind, milliseconds, memory = REPLY.unpack_from(data)
            end = length + LENGTH.size
            if len(data) < end:
                break
            self._frame(kind, data[REPLY.size : end], milliseconds, memory)
            data = data[end:]
        self._buffer = data

    def connection_lost(self, exc: Exception | None) -> None:
        if self._reason:
            self._end(self._reason)
        elif not self.retired:
            # The process has closed its channel, or is about to be found dead: of no use either way.
            self.loop.call_later(EOF_SECONDS, self.process.kill)

    def _frame(self, kind: int, payload: bytes, milliseconds: float, memory: int) -> None:
        self.peak = max(self.peak, memory)
        if kind == FILES:
            self.owner.loaded(json.loads(payload))
        elif kind == READY:
            self.owner.loaded(json.loads(payload))
            self.init = (time.perf_counter() - self.started) * 1000
            self.up = True
            self._cancel_timer()
            self.owner.ready(self)
        elif kind in (ANSWER, ERROR):
            self._settle(Outcome(payload, None if kind == ANSWER else Fault.RAISED, duration=milliseconds))
        elif kind == INIT_ERROR:
            self._fail(Outcome(payload, Fault.RAISED))

    def _settle(self, outcome: Outcome) -> None:
        future = self._future
        if future is None:
            return
        self._future = None
        self._cancel_timer()
        outcome.log = self.process.take_log()
        outcome.memory = self.peak
        outcome.init, self.init = self.init, None
        if not future.done():
            future.set_result(outcome)
        if self.alive and outcome.fault not in (Fault.TIMED_OUT, Fault.EXITED):
            self.owner.ready(self)

    def _fail(self, outcome: Outcome) -> None:
        """It never got as far as its first invocation."""
        if not self.up:
            self.up = True
            self._cancel_timer()
            outcome.log = self.process.take_log()
            outcome.memory = self.peak
            outcome.init = (time.perf_counter() - self.started) * 1000
            self.owner.broken(self, outcome)

    def _late(self) -> None:
        self._timer = None
        outcome = timed_out(self.function, self._request_id)
        if self.up:
            self._settle(outcome)
        else:
            self._fail(outcome)
        self.process.kill()

    def _exited(self, reason: str) -> None:
        self._reason = reason
        if self._transport is None or self._transport.is_closing():
            self._end(reason)
        else:
            # Something may still be in the channel. A child that it forked may hold that open: no long wait.
            self.loop.call_later(EOF_SECONDS, self._end, reason)

    def _end(self, reason: str) -> None:
        if not self.alive:
            return
        self.alive = False
        if self._transport is not None:
            self._transport.abort()
        outcome = exited(self._request_id, reason)
        if self.up:
            self._settle(outcome)
        else:
            self._fail(outcome)
        self.owner.gone(self)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
