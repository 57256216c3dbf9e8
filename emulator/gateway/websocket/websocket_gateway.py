"""The WebSocket API of a project: which connections there are, and what happens to them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from typing import Any

from emulator.containers.tasks import Tasks
from emulator.gateway.request import HEADER_LIMIT, Request
from emulator.gateway.response import Response, error_response
from emulator.gateway.websocket.connection import GOING_AWAY, NORMAL, Connection, Limits, Socket
from emulator.gateway.websocket.route_calls import Line, RouteCalls
from emulator.manifest.events.websocket_model import CONNECT
from emulator.manifest.yaml.document import ManifestError
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
        """With `in_order` the messages of a connection are processed one after another.

        `own_ports` belong to function URLs and load balancers, which have no WebSockets.
        """
        self._project = project
        self._clock = project.clock
        self._calls = RouteCalls(project)
        self._limits = limits or Limits()
        self._in_order = in_order
        self._own_ports = own_ports
        self._connections: dict[str, Connection] = {}
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

    async def connect(self, scope: Any, socket: Socket) -> Connection | Response:
        """The new connection, for which `opened` is to be called, or the response to a handshake that is refused.

        `scope` is an ASGI scope of the handshake.
        """
        request = Request.from_scope(scope, self._clock.time())
        if request.head_size > HEADER_LIMIT:
            self.refused(431, "the head is too large")
            return error_response(431, "Request Header Fields Too Large")
        connection = Connection.from_handshake(request, socket, self._project.manifest.stage, self._clock.monotonic())
        return await self._calls.connect(connection, request) or connection

    def refused(self, status: int, reason: str) -> None:
        """A handshake that does not follow the protocol was answered with this status."""
        self._calls.show(Line(CONNECT, status, note=reason))

    def opened(self, connection: Connection) -> None:
        """The client has been told that the connection is open."""
        connection.open = True
        if self._in_order:
            connection.turn = asyncio.Lock()
        self._connections[connection.id] = connection
        if not self._watching:
            self._watching = True
            self._watcher.start(self._watch())
        if self._stopping:
            self.close(connection, GOING_AWAY, "Going away")

    def active(self, connection: Connection) -> None:
        """Something was sent to the client or has come from it."""
        connection.last_active = self._clock.monotonic()

    def last_active(self, connection: Connection) -> float:
        """When that was, in seconds since 1970."""
        return self._clock.time() - (self._clock.monotonic() - connection.last_active)

    def received(self, connection: Connection, data: str | bytes) -> None:
        """A whole message has arrived."""
        connection.messages += 1
        if connection.messages == MAX_AT_ONCE:
            connection.socket.pause()
        self._events.start(self._message(connection, data))

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
        self._events.start(self._disconnect(connection, code, reason))

    async def stop(self) -> None:
        """Close every connection, and wait for the events that are processed; a later handshake is closed at once."""
        self._stopping = True
        self._watcher.cancel()
        for connection in list(self._connections.values()):
            self.close(connection, GOING_AWAY, "Going away")
        await self._events.wait()

    async def _message(self, connection: Connection, data: str | bytes) -> None:
        async with connection.turn or contextlib.nullcontext():
            reply = await self._calls.message(connection, data)
        if reply is not None and connection.open:
            connection.socket.send(reply)
        connection.messages -= 1
        if connection.messages == MAX_AT_ONCE - 1:
            connection.socket.resume()

    async def _disconnect(self, connection: Connection, code: int, reason: str) -> None:
        async with connection.turn or contextlib.nullcontext():
            await self._calls.disconnect(connection, code, reason)

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
