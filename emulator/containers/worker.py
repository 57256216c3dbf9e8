"""A container that speaks the emulator's own protocol: frames over a socket pair."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import cast

from emulator.containers import Fault, Invocation, Outcome
from emulator.containers.container import Container, Owner
from emulator.runtime.time_travel import Timeline
from emulator.runtime.worker import ANSWER, ERROR, FILES, INIT_ERROR, LENGTH, READY, REPLY, REQUEST

BOOT = """import sys
sys.path[0] = sys.argv[3]
from emulator.runtime.worker import main
main(int(sys.argv[1]), sys.argv[2], sys.argv[4])"""
ENDING_SECONDS = 1.0
HOME = str(Path(__file__).parents[2])


class Worker(Container, asyncio.Protocol):
    """One worker process."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner)
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._reason = ""
        self._timeline = owner.timeline
        """The timeline that the process has been given."""

    async def start(self, python: str, environ: dict[str, str], root: str) -> None:
        """Start the process with one end of a socket pair."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._timeline = self._owner.timeline
                arguments = [str(theirs.fileno()), root, HOME, self._timeline.text()]
                command = [python or sys.executable, "-c", BOOT, *arguments]
                environ["_INVOKED_FUNCTION_ARN"] = self.function.arn
                self.process.start(command, environ, root, theirs)
            self._limit_start()
            await self._loop.create_connection(lambda: self, sock=ours)
        except BaseException:
            ours.close()
            raise

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the channel is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transport does not inherit from asyncio's
        self.follow(self._owner.timeline)

    def follow(self, timeline: Timeline) -> bool:
        """Tell the process, which reads it before its next invocation."""
        if timeline != self._timeline and self._transport is not None and not self._transport.is_closing():
            self._timeline = timeline
            text = timeline.text().encode()
            self._transport.write(REQUEST.pack(REQUEST.size - LENGTH.size + len(text), 0) + text)
        return True

    def data_received(self, data: bytes) -> None:
        """asyncio: part of a frame, or of several."""
        self._buffer += data
        while len(self._buffer) >= REPLY.size:
            length, kind, milliseconds, memory, beside = REPLY.unpack_from(self._buffer)
            end = length + LENGTH.size
            if len(self._buffer) < end:
                return
            with memoryview(self._buffer) as view:
                frame, body = bytes(view[REPLY.size : end - beside]), bytes(view[end - beside : end])
            del self._buffer[:end]
            self.peak = max(self.peak, memory)
            self._frame(kind, frame, body, milliseconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the process has ended, is about to, or the function closed the channel."""
        if self._reason:
            self._end(self._reason)
        elif not self.retired:
            # An interpreter that is ending closes its sockets first: wait for its own exit code.
            self._loop.call_later(ENDING_SECONDS, self.process.kill)

    def _send(self, invocation: Invocation, deadline: float) -> None:
        assert self._transport is not None
        head = f"{invocation.request_id}\t{deadline}\t{invocation.trace_id}\t{invocation.client_context}".encode()
        length = REQUEST.size - LENGTH.size + len(head) + len(invocation.payload)
        self._transport.write(REQUEST.pack(length, len(head)) + head + invocation.payload)

    def _frame(self, kind: int, frame: bytes, body: bytes, milliseconds: float) -> None:
        if kind in (ANSWER, ERROR):
            self._settle(Outcome(frame, None if kind == ANSWER else Fault.RAISED, body=body, duration=milliseconds))
        elif kind in (FILES, READY):
            self._owner.loaded(**json.loads(frame))
            if kind == READY:
                self._ready()
        elif kind == INIT_ERROR:
            self._fail(Outcome(frame, Fault.RAISED))

    def _close_channel(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _exited(self, reason: str) -> None:
        self._reason = reason
        if self._transport is None or self._transport.is_closing():
            self._end(reason)
        else:
            super()._exited(reason)
