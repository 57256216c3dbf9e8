"""The events of a WebSocket API, with the keys that AWS leaves out left out too.

Sources are the API Gateway developer guide, and events that were recorded on AWS. `now` is in seconds since 1970.
"""

from __future__ import annotations

import base64
from typing import Any

from emulator.gateway.payload_v1_event import Values, header_values, last, query_values
from emulator.gateway.payload_v2_event import time_text
from emulator.gateway.request import Request
from emulator.gateway.websocket.connection import Connection
from emulator.manifest.account import API_ID, arn
from emulator.manifest.events.websocket_model import CONNECT, DISCONNECT
from emulator.service import ids

Event = dict[str, Any]

_HOP_BY_HOP = ("connection", "upgrade")
"""Headers of a handshake that the authorizer sees, and the function of `$connect` does not."""


def connect(connection: Connection, request: Request, now: float) -> Event:
    """The event of `$connect`: headers, query, and no body."""
    headers = {name: sent for name, sent in header_values(request).items() if name.lower() not in _HOP_BY_HOP}
    event: Event = {"headers": last(headers), "multiValueHeaders": headers}
    if query := query_values(request.query):
        event |= {"queryStringParameters": last(query), "multiValueQueryStringParameters": query}
    event["requestContext"] = _context(connection, CONNECT, "CONNECT", request.id, now, {})
    event["isBase64Encoded"] = False
    return event


def authorizer(connection: Connection, request: Request, region: str, now: float) -> Event:
    """The event of the authorizer of `$connect`: what is empty is an empty object."""
    headers, query = header_values(request), query_values(request.query)
    headers.setdefault("content-length", ["0"])
    return {
        "type": "REQUEST",
        "methodArn": connect_arn(connection, region),
        "headers": last(headers),
        "multiValueHeaders": headers,
        "queryStringParameters": last(query),
        "multiValueQueryStringParameters": query,
        "stageVariables": {},
        "requestContext": _context(connection, CONNECT, "CONNECT", request.id, now, {}),
    }


def connect_arn(connection: Connection, region: str) -> str:
    """The ARN by which a policy names the handshake."""
    return arn("execute-api", region, f"{API_ID}/{connection.stage}/{CONNECT}")


def message(connection: Connection, route: str, data: str | bytes, request_id: str, now: float) -> Event:
    """The event of a message; a binary one is base64."""
    encoded = isinstance(data, bytes)
    return {
        "requestContext": _context(connection, route, "MESSAGE", request_id, now, {"messageId": ids.request()}),
        "body": base64.b64encode(data).decode() if isinstance(data, bytes) else data,
        "isBase64Encoded": encoded,
    }


def disconnect(connection: Connection, code: int, reason: str, now: float) -> Event:
    """The event of `$disconnect`, with the headers that AWS makes up for it."""
    headers: Values = {"Host": [connection.domain], "x-api-key": [""], "X-Forwarded-For": [""], "x-restapi": [""]}
    own = {"disconnectStatusCode": code, "disconnectReason": reason}
    return {
        "headers": last(headers),
        "multiValueHeaders": headers,
        "requestContext": _context(connection, DISCONNECT, "DISCONNECT", ids.request(), now, own),
        "isBase64Encoded": False,
    }


def _context(connection: Connection, route: str, kind: str, request_id: str, now: float, own: Event) -> Event:
    identity = {"userAgent": connection.user_agent} if connection.user_agent else {}
    return {
        "routeKey": route,
        **({"authorizer": connection.authorizer} if connection.authorizer else {}),
        **own,
        "eventType": kind,
        "extendedRequestId": request_id,
        "requestTime": time_text(int(now)),
        "messageDirection": "IN",
        "stage": connection.stage,
        "connectedAt": connection.connected_at,
        "requestTimeEpoch": int(now * 1000),
        "identity": {**identity, "sourceIp": connection.source_ip},
        "requestId": request_id,
        "domainName": connection.domain,
        "connectionId": connection.id,
        "apiId": API_ID,
    }
