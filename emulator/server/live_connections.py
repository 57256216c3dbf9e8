"""The routes of live WebSocket connections: which there are, their latest messages, sending one, and closing."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.gateway.websocket.connection import MAX_MESSAGE, Connection
from emulator.gateway.websocket.websocket_gateway import WebSocketGateway
from emulator.server import request_views, typed_body
from emulator.server.management import PREFIX
from emulator.server.queries import RefusedError, answer, number, parameters
from emulator.service.frame_book import Frame


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """What is sent to a client."""

    text: str


class LiveConnections:
    """Shows the open connections of a WebSocketGateway."""

    def __init__(self, gateway: WebSocketGateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """The routes, all below PREFIX."""
        return [
            Route(f"{PREFIX}/connections", self.list, methods=["GET"]),
            Route(f"{PREFIX}/connections/{{id}}/messages", self.send, methods=["POST"]),
            Route(f"{PREFIX}/connections/{{id}}", self.close, methods=["DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        """Every open connection, and the latest messages after a number, the oldest first."""
        frames = self._gateway.frames
        after = number(parameters(request, "after"), "after", 0)
        return answer(
            {
                "connections": [self._described(one) for one in self._gateway.open_connections()],
                "frames": [_shown(one) for one in frames.since(after)],
                "last": frames.last,
                "used": self._gateway.is_used(),
            }
        )

    async def send(self, request: Request) -> Response:
        """Send a text to a client, as a function does with @connections."""
        message = await typed_body.read(request, Message)
        if len(message.text.encode(errors="replace")) > MAX_MESSAGE:
            raise RefusedError(f"a message has at most {MAX_MESSAGE} bytes", 413)
        connection = self._found(request)
        if connection.socket.full:
            raise RefusedError("the client does not read what it has been sent", 429)
        connection.socket.send(message.text)
        return answer({})

    async def close(self, request: Request) -> Response:
        """Close a connection; its `$disconnect` is called."""
        self._gateway.close(self._found(request))
        return answer({})

    def _found(self, request: Request) -> Connection:
        connection = self._gateway.find(request.path_params["id"])
        if connection is None:
            raise RefusedError("there is no such connection, or it is closed already", 404)
        return connection

    def _described(self, connection: Connection) -> dict[str, Any]:
        return {
            "id": connection.id,
            "connected": request_views.written(connection.connected_at / 1000),
            "last_active": request_views.written(self._gateway.last_active(connection)),
            "source_ip": connection.source_ip,
            "user_agent": connection.user_agent,
            "authorizer": connection.authorizer,
        }


def _shown(frame: Frame) -> dict[str, Any]:
    text = isinstance(frame.data, str)
    return {
        "number": frame.number,
        "connection": frame.connection,
        "time": request_views.written(frame.epoch),
        "direction": frame.direction,
        "data": frame.data if isinstance(frame.data, str) else base64.b64encode(frame.data).decode(),
        "base64": not text,
    }
