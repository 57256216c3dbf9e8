"""A container that runs Amazon's own runtime client (PyPI: awslambdaric), and serves the Runtime API to it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
import sys
import time
from pathlib import Path
from typing import cast

import httptools

from emulator.containers import Fault, Invocation, Outcome
from emulator.containers.container import Container, Owner
from emulator.containers.worker import HOME
from emulator.runtime import handlers
from emulator.runtime.time_travel import REAL, Timeline
from emulator.runtime.travelling_client import SEPARATOR

OK, ACCEPTED, UNKNOWN = (
    b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n" % status
    for status in (b"200 OK", b"202 Accepted", b"404 Not Found")
)
TAKEN = b'{"status":"OK"}'
BOOT = """import sys
sys.path[0] = sys.argv[3]
from emulator.runtime.travelling_client import main
main(int(sys.argv[1]), sys.argv[2], sys.argv[4], sys.argv[5])"""
BASE = b"/2018-06-01/runtime/"
SOURCES = 2000
SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__"})


def available() -> bool:
    """Whether the package is installed."""
    return importlib.util.find_spec("awslambdaric") is not None


class RuntimeClient(Container):
    """One process of the runtime client, and the API that it polls."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner)
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._polling: Connection | None = None
        self._waiting: tuple[bytes, dict[str, str]] | None = None
        self._sent = 0.0
        self._root = ""
        self._timeline = REAL
        """The timeline that the process has been given; the real one for a process that cannot travel."""
        self._timelines: socket.socket | None = None

    async def start(self, python: str, environ: dict[str, str], root: str) -> None:
        """Serve the Runtime API on a port of its own, and start the client."""
        self._root = root
        listener = socket.create_server(("127.0.0.1", 0))
        self._server = await self._loop.create_server(lambda: Connection(self), sock=listener)
        host, port = listener.getsockname()
        environ["AWS_LAMBDA_RUNTIME_API"] = f"{host}:{port}"
        self._timeline = self._owner.timeline
        if self._timeline == REAL:
            command = [python or sys.executable, "-m", "awslambdaric", self.function.handler]
            self.process.start(command, environ, root)
        else:
            self._start_travelling(python or sys.executable, environ, root)
        self._limit_start()

    def _start_travelling(self, python: str, environ: dict[str, str], root: str) -> None:
        self._timelines, theirs = socket.socketpair()
        with theirs:
            arguments = [str(theirs.fileno()), root, HOME, self._timeline.text(), self.function.handler]
            self.process.start([python, "-c", BOOT, *arguments], environ, root, theirs)

    def follow(self, timeline: Timeline) -> bool:
        """The client takes a timeline with its next event, if it was started to travel."""
        return (timeline == REAL) == (self._timeline == REAL)

    def connected(self, connection: Connection, *, here: bool) -> None:
        """A connection of the client was opened or closed."""
        (self._connections.add if here else self._connections.discard)(connection)
        if not here and self._polling is connection:
            self._polling = None

    def next(self, connection: Connection) -> None:
        """The client asks for an event; the first time that means that it is ready."""
        self._polling = connection
        if not self.up:
            self._owner.loaded(sources(self._root))
            self._ready()
        elif self._waiting:
            self._hand_over(*self._waiting)

    def answered(self, request_id: str, payload: bytes, fault: Fault | None) -> None:
        """The client has posted an answer or an error."""
        if request_id == self._request_id:
            self.peak = max(self.peak, self.process.peak())
            if fault is None and len(payload) > handlers.MAX_PAYLOAD:
                payload = handlers.too_large(request_id).frame
                fault = Fault.RAISED
            self._settle(Outcome(payload, fault, duration=(time.perf_counter() - self._sent) * 1000))

    def init_failed(self, payload: bytes) -> None:
        """The client could not load the handler."""
        self._fail(Outcome(payload, Fault.RAISED))

    def _send(self, invocation: Invocation, deadline: float) -> None:
        self._sent = time.perf_counter()
        if self._timelines is not None and self._timeline != self._owner.timeline:
            self._timeline = self._owner.timeline
            self._timelines.sendall(self._timeline.text().encode() + SEPARATOR)
        epoch = time.time() + deadline - time.monotonic()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(epoch * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.function.arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
        }
        if invocation.client_context:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        self._hand_over(invocation.payload, headers)

    def _hand_over(self, payload: bytes, headers: dict[str, str]) -> None:
        """Send the event now if the client has asked for one, else when it asks."""
        if self._polling is None:
            self._waiting = payload, headers
        else:
            polling, self._polling, self._waiting = self._polling, None, None
            polling.reply(OK, payload, headers)

    def _close_channel(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._timelines is not None:
            self._timelines.close()
        for connection in list(self._connections):
            connection.close()


class Connection(asyncio.Protocol):
    """One HTTP connection of the runtime client."""

    def __init__(self, client: RuntimeClient) -> None:
        self.client = client
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None
        self.url = b""
        self.body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self.transport = cast("asyncio.Transport", transport)
        self.client.connected(self, here=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: disconnected."""
        self.client.connected(self, here=False)

    def data_received(self, data: bytes) -> None:
        """asyncio: part of a request."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_message_begin(self) -> None:
        """httptools: a new request."""
        self.url = b""
        self.body.clear()

    def on_url(self, url: bytes) -> None:
        """httptools: part of the address."""
        self.url += url

    def on_body(self, body: bytes) -> None:
        """httptools: part of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """httptools: the request is whole."""
        path = self.url[len(BASE) :].decode() if self.url.startswith(BASE) else ""
        if path == "invocation/next":
            self.client.next(self)
            return
        parts = path.split("/")
        if path == "init/error":
            self.reply(ACCEPTED, TAKEN, {})
            self.client.init_failed(bytes(self.body))
        elif len(parts) == 3 and parts[0] == "invocation" and parts[2] in ("response", "error"):
            self.reply(ACCEPTED, TAKEN, {})
            fault = None if parts[2] == "response" else Fault.RAISED
            self.client.answered(parts[1], bytes(self.body), fault)
        else:
            self.reply(UNKNOWN, b"{}", {})

    def reply(self, status: bytes, body: bytes, headers: dict[str, str]) -> None:
        """Send a response."""
        head = "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode()
        if self.transport is not None:
            self.transport.write(b"%b%bContent-Length: %d\r\n\r\n%b" % (status, head, len(body), body))

    def close(self) -> None:
        """End the connection."""
        if self.transport is not None:
            self.transport.close()


def sources(root: str) -> list[str]:
    """The Python files of a project, some 2000 at most: the client does not say which of them it has imported.

    Folders that cannot be read are left out.
    """
    files: list[str] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in SKIPPED]
        files += [str(Path(folder, name)) for name in names if name.endswith(".py")]
        if len(files) >= SOURCES:
            break
    return files
