"""`@connections`: functions write to the clients of the WebSocket API, with boto3's `apigatewaymanagementapi`.

Plain ASGI, without Starlette: a function may send one message to many clients, each with a request.
"""

from __future__ import annotations

import json
import re
import time
from urllib.parse import unquote

from starlette.types import Receive, Scope, Send

from emulator.containers import stamp
from emulator.gateway.bodies import Bodies, ClientGoneError
from emulator.gateway.gateway import reply
from emulator.gateway.response import JSON_TYPE, Response
from emulator.gateway.websocket.connection import MAX_MESSAGE, Connection
from emulator.gateway.websocket.websocket_gateway import WebSocketGateway
from emulator.service import ids
from emulator.service.project import Project

MARK = "/@connections"
_OWN = re.compile(rf"(/[^/]+)?{MARK}(?:/.*)?")
_ID = re.compile("[A-Za-z0-9+/_-]+={1,2}")


class ConnectionsApi:
    """Posts to a connection, describes it and closes it."""

    def __init__(self, project: Project, gateway: WebSocketGateway) -> None:
        self._project = project
        self._gateway = gateway
        self.bodies = Bodies()

    def owns(self, path: str) -> bool:
        """Whether a decoded path belongs to this API, and not to a route of the manifest."""
        return MARK in path and _OWN.fullmatch(path) is not None and self._gateway.is_used()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        path = scope["raw_path"].decode("latin-1")
        try:
            response = await self._answer(scope, path, receive)
        except ClientGoneError:
            response = _error(408, "RequestTimeoutException", "Request Timeout")
        await reply(scope, send, response)
        elapsed = (time.perf_counter() - begun) * 1000
        self._project.console.request(scope["method"], path, response.status, elapsed, "", response.note)

    async def _answer(self, scope: Scope, path: str, receive: Receive) -> Response:
        method = scope["method"]
        before, _, sent_id = path.rpartition("/")
        prefix = unquote(before).removesuffix(MARK)
        if not unquote(before).endswith(MARK) or prefix not in ("", *self._project.manifest.websocket_paths):
            return _error(403, "ForbiddenException", "Forbidden")
        if method not in ("GET", "POST", "DELETE"):
            message = f"No method found matching route {path[1:]} for http method {method}."
            return _error(403, "ForbiddenException", message)
        body = await self.bodies.read(scope["headers"], receive)
        if "=" in sent_id:
            return _error(403, "ForbiddenException", "Forbidden", "the connection's id must be URL-encoded")
        connection_id = unquote(sent_id)
        if not _ID.fullmatch(connection_id):
            return _error(403, "ForbiddenException", "Forbidden", "this is no connection's id")
        connection = self._gateway.find(connection_id)
        if connection is None:
            return _error(410, "GoneException", "Gone")
        if method == "GET":
            return self._described(connection)
        if method == "DELETE":
            self._gateway.close(connection)
            return Response(204)
        return _posted(connection, body)

    def _described(self, connection: Connection) -> Response:
        described = {
            "connectedAt": stamp(connection.connected_at / 1000),
            "identity": {"sourceIp": connection.source_ip, "userAgent": connection.user_agent or ""},
            "lastActiveAt": stamp(self._gateway.last_active(connection)),
        }
        return Response(200, json.dumps(described).encode(), [JSON_TYPE])


def _posted(connection: Connection, body: bytes | None) -> Response:
    if body is None or len(body) > MAX_MESSAGE:
        return _error(413, "PayloadTooLargeException", f"Message must be at most {MAX_MESSAGE} bytes")
    if connection.socket.full:
        return _error(429, "LimitExceededException", "Rate Exceeded", "the client does not read")
    try:
        connection.socket.send(body.decode())
    except UnicodeDecodeError:
        connection.socket.send(body)
    return Response(200)


def _error(status: int, kind: str, message: str, note: str = "") -> Response:
    """An error as botocore reads it."""
    headers = [JSON_TYPE, (b"x-amzn-errortype", kind.encode()), (b"x-amzn-requestid", ids.invocation().encode())]
    return Response(status, json.dumps({"message": message}).encode(), headers, note)
