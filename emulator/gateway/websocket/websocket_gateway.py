"""The WebSocket API of a project: which connections there are, and what happens to them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Collection, Coroutine
from typing import Any

from emulator.containers.tasks import Tasks
from emulator.gateway.request import HEADER_LIMIT, Request
from emulator.gateway.response import Response, error_response
from emulator.gateway.websocket.connection import GOING_AWAY, NORMAL, Connection, Limits, Socket
from emulator.gateway.websocket.recorded_socket import RecordedSocket
from emulator.gateway.websocket.route_calls import Line, RouteCalls
from emulator.manifest.events.websocket_model import CONNECT
from emulator.manifest.yaml.document import ManifestError
from emulator.service.frame_book import FrameBook
from emulator.service.project import Project

MAX_AT_ONCE = 128
"""Messages of one connection that are processed at the same time; meanwhile no further one is read."""
SHORTEST_SLEEP = 0.05
"""Seconds between two looks at the age of every connection, at least."""


class WebSocketGateway:
    """Owns the open connections. They stay when the manifest changes."""

    def __init__(
        self,
        project: Project,
        limits: Limits | None = None,
        *,
        in_order: bool = False,
        own_ports: Collection[int] = (),
    ) -> None:
        """With `in_order` the messages of a connection are processed one after another, and its end after them.

        `own_ports` belong to function URLs and load balancers, which have no WebSockets.
        """
        self._project = project
        self._clock = project.clock
        self._calls = RouteCalls(project)
        self._limits = limits or Limits()
        self._in_order = in_order
        self._own_ports = own_ports
        self._connections: dict[str, Connection] = {}
        self._sockets: set[Socket] = set()
        self.frames = FrameBook()
        """The latest messages of all connections."""
        self._events = Tasks()
        self._watcher = Tasks()
        self._watching = False
        self._stopping = False

    def serves(self, path: str, port: int) -> bool:
        """Whether a handshake at this path and port is for the WebSocket API."""
        if port in self._own_ports:
            return False
        with contextlib.suppress(ManifestError):
            self._project.refresh()
        return path.rstrip("/") in self._project.manifest.websocket_paths

    def is_used(self) -> bool:
        """Whether the manifest has a WebSocket API, or had one whose connections are still open."""
        return self._project.manifest.websocket is not None or bool(self._connections)

    def find(self, connection_id: str) -> Connection | None:
        """An open connection. One whose `$connect` has not returned yet is none."""
        return self._connections.get(connection_id)

    def start(self, handshake: Coroutine[Any, Any, None]) -> None:
        """Run the handshake of a socket, which a stop waits for."""
        self._events.start(handshake)

    def open_connections(self) -> list[Connection]:
        """Every open connection, the oldest first."""
        return list(self._connections.values())

    async def connect(self, scope: Any, socket: Socket) -> Connection | Response:
        """The new connection, for which `opened` is to be called, or the response to a handshake that is refused.

        `scope` is an ASGI scope of the handshake.
        """
        request = Request.from_scope(scope, self._clock.time())
        if request.head_size > HEADER_LIMIT:
            self.refused(431, "the head is too large")
            return error_response(431, "Request Header Fields Too Large")
        if self._stopping:
            self.refused(503, "the emulator stops")
            return error_response(503, "Service Unavailable")
        begun = self._clock.monotonic()
        connection = Connection.from_handshake(request, socket, self._project.manifest.stage, begun)
        connection.socket = RecordedSocket(socket, connection.id, self.frames, self._clock.time)
        return await self._calls.connect(connection, request) or connection

    def refused(self, status: int, reason: str) -> None:
        """A handshake was answered with this status before anything was asked."""
        self._calls.show(Line(CONNECT, status, note=reason))

    def opened(self, connection: Connection) -> None:
        """The client has been told that the connection is open. `lost` is to be called when its socket is closed."""
        connection.open = True
        self._connections[connection.id] = connection
        self._sockets.add(connection.socket)
        if self._stopping:
            self.close(connection, GOING_AWAY, "Going away")
        elif not self._watching:
            self._watching = True
            self._watcher.start(self._watch())

    def active(self, connection: Connection) -> None:
        """Something was sent to the client or has come from it."""
        connection.last_active = self._clock.monotonic()

    def last_active(self, connection: Connection) -> float:
        """When that was, in seconds since 1970."""
        return self._clock.time() - (self._clock.monotonic() - connection.last_active)

    def received(self, connection: Connection, data: str | bytes) -> None:
        """A whole message has arrived."""
        self.frames.add(connection.id, self._clock.time(), "in", data)
        if connection.running < (1 if self._in_order else MAX_AT_ONCE):
            self._process(connection, data)
        elif connection.waiting is not None:
            connection.waiting.append(data)
        else:
            connection.waiting = deque([data])
            connection.socket.pause()

    def close(self, connection: Connection, code: int = NORMAL, reason: str = "") -> None:
        """Close an open connection from this side."""
        connection.socket.close(code, reason)
        self.closed(connection, code, reason)

    def closed(self, connection: Connection, code: int, reason: str) -> None:
        """A connection is closed, whoever has closed it. Every call but the first one has no effect."""
        if not connection.open:
            return
        connection.open = False
        del self._connections[connection.id]
        if self._in_order and connection.running:
            connection.ending = code, reason
        else:
            self._events.start(self._calls.disconnect(connection, code, reason))

    def lost(self, connection: Connection) -> None:
        """The socket of a connection is closed."""
        self._sockets.discard(connection.socket)

    async def stop(self) -> None:
        """Close every connection, and wait for the events that are processed. Later handshakes are refused."""
        self._stopping = True
        self._watcher.cancel()
        for connection in list(self._connections.values()):
            self.close(connection, GOING_AWAY, "Going away")
        await self._events.wait()
        while self._sockets:  # a socket that is still open has a time limit of its own
            await asyncio.sleep(0.01)

    def _process(self, connection: Connection, data: str | bytes) -> None:
        connection.running += 1
        self._events.start(self._message(connection, data))

    async def _message(self, connection: Connection, data: str | bytes) -> None:
        reply = await self._calls.message(connection, data)
        if reply is not None and connection.open:
            connection.socket.send(reply)
        connection.running -= 1
        if connection.waiting:
            self._process(connection, connection.waiting.popleft())
        elif connection.waiting is not None:
            connection.waiting = None
            connection.socket.resume()
        if connection.ending is not None and not connection.running:
            await self._calls.disconnect(connection, *connection.ending)

    async def _watch(self) -> None:
        """Close the connections that have been idle, or have lived, too long, as long as there are connections.

        No connection is due before the one that is next now: one that is opened meanwhile is younger.
        """
        while self._connections:
            due = {one: self._left(one) for one in self._connections.values()}
            for connection, left in due.items():
                if left <= 0:
                    self.close(connection, GOING_AWAY, "Going away")
            await self._clock.sleep(max(min(due.values()), SHORTEST_SLEEP))
        self._watching = False

    def _left(self, connection: Connection) -> float:
        due = min(connection.last_active + self._limits.idle, connection.begun + self._limits.life)
        return due - self._clock.monotonic()
