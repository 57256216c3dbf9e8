"""The HTTP server: it listens before anything else starts, and a stop waits for requests in flight."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Callable, Generator

import uvicorn
from starlette.types import ASGIApp

from emulator.gateway.websocket.websocket_gateway import WebSocketGateway
from emulator.server.http_protocol import Protocol

GRACE_SECONDS = 35
"""How long a stop waits for requests in flight: a little more than the gateway waits for a function."""
SAME_STOP_SECONDS = 0.3
"""A second signal within this time belongs to the first: make and supervisors signal the whole process group."""


class PortTakenError(Exception):
    """The address is in use, or may not be used."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises PortTakenError."""
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


class Server(uvicorn.Server):
    """uvicorn's server: the first signal stops it cleanly, the second one at once.

    `ready` is called when requests are served, `stopping` at every signal to stop.
    """

    def __init__(
        self, app: ASGIApp, websockets: WebSocketGateway, ready: Callable[[], None], stopping: Callable[[], None]
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                interface="asgi3",
                loop="auto",  # uvloop where it is installed
                http=type("ServedProtocol", (Protocol,), {"websockets": websockets}),
                ws="none",  # a Protocol has WebSockets of its own
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,  # X-Forwarded-For is what a caller wrote, not where the call came from
                timeout_keep_alive=75,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self.websockets = websockets
        self.ready = ready
        self.stopping = stopping
        self.stop_asked = asyncio.Event()
        self.asked_at = 0.0

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle signals as uvicorn does, but do not raise them again afterwards: a clean stop exits with 0."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then call `ready`."""
        await super().startup(sockets)
        if self.started:
            gc.freeze()  # what was imported is never garbage: collections skip it
            self.ready()

    async def main_loop(self) -> None:
        """Do what uvicorn does, but once a second (the Date header needs it), and end at once at a stop."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self.stop_asked.wait()
        await self._close_websockets()

    async def _close_websockets(self) -> None:
        """Close them while requests are still served: a function of `$disconnect` may call this server."""
        closing = asyncio.create_task(self.websockets.stop())
        until = asyncio.get_running_loop().time() + GRACE_SECONDS
        while not (closing.done() or self.force_exit or asyncio.get_running_loop().time() > until):
            await asyncio.wait({closing}, timeout=0.1)
        closing.cancel()

    def _stop(self) -> None:
        now = asyncio.get_running_loop().time()
        if self.should_exit and now - self.asked_at < SAME_STOP_SECONDS:
            return
        self.asked_at = now
        self.force_exit = self.should_exit
        if self.force_exit:
            logging.disable()  # requests that are cut off now are no errors
        self.should_exit = True
        self.stop_asked.set()
        self.stopping()
