"""uvicorn around the gateway: a port taken early, a stop that answers what is in flight."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import signal
import socket
from collections.abc import Callable, Generator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from emulator.gateway.gateway import REPLY
from emulator.gateway.response import Response

GRACE_SECONDS = 35
"""How long a stop waits for requests in flight: a little over the gateway's own limit."""


SAME_STOP_SECONDS = 0.3
"""A second signal that soon is no second request: make and supervisors signal the whole process group."""
HEAD_BYTES = 65_536
"""Headers beyond this are not even read; the gateway's own limit is lower and answered in its words."""
TOO_MUCH = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class PortTakenError(Exception):
    """Somebody else listens there, or nobody may."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, before anything else is started or printed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise PortTakenError(f"cannot listen on {host}:{port}: {reason}") from None
    return listener


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, but what has no end of headers is not read for ever."""

    def on_message_begin(self) -> None:
        """A new request begins."""
        super().on_message_begin()
        self.head = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """One more header: the gateway refuses what is a little too much, this what is far too much."""
        self.head += len(name) + len(value)
        if self.head > HEAD_BYTES:
            self.transport.write(TOO_MUCH)
            self.transport.close()
            raise OverflowError("too many headers")
        super().on_header(name, value)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        extensions: Any = {REPLY: functools.partial(_reply, cycle)}
        cycle.scope["extensions"] = extensions
        super()._start_asgi_task(cycle, app)


async def _reply(cycle: RequestResponseCycle, response: Response) -> None:
    """What uvicorn does with the two messages of a response, in one system call and one packet."""
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    parts = [STATUS_LINE[response.status]]
    for name, value in (*cycle.default_headers, *response.headers):
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
    if cycle.scope["method"] != "HEAD":
        parts.append(response.body)
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(b"".join(parts))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


class Server(uvicorn.Server):
    """uvicorn's server, with a clean stop on the first signal and an immediate end on the second."""

    def __init__(self, app: ASGIApp, ready: Callable[[], None], stopping: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                interface="asgi3",
                loop="uvloop",
                http=Protocol,
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,  # who sends X-Forwarded-For is not the one who connects
                timeout_keep_alive=75,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self.ready = ready
        self.stopping = stopping
        self.stop_asked = asyncio.Event()
        self.asked_at = 0.0

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Like uvicorn's, but the signal is not raised again afterwards: a clean stop exits with 0."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then say so."""
        await super().startup(sockets)
        if self.started:
            gc.freeze()  # what was imported stays: no collection need look at it again
            self.ready()

    async def main_loop(self) -> None:
        """uvicorn's, with one tick a second, for the Date header, and no wait for the next one at a stop."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self.stop_asked.wait()

    def _stop(self) -> None:
        now = asyncio.get_running_loop().time()
        if self.should_exit and now - self.asked_at < SAME_STOP_SECONDS:
            return
        self.asked_at = now
        self.force_exit = self.should_exit
        if self.force_exit:
            logging.disable()  # what is cut off now is cut off on purpose
        self.should_exit = True
        self.stop_asked.set()
        self.stopping()
