"""A request as the event that a function of an HTTP API receives: payload format 2.0."""

from __future__ import annotations

import functools
import time
from typing import Any
from urllib.parse import unquote_plus

from emulator.gateway.request import Request, body_text
from emulator.manifest.account import ACCOUNT_ID, API_ID
from emulator.manifest.model import Route

STAGE = "$default"


def http_api(request: Request, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
    """The event, with the keys that AWS leaves out when they are empty left out too."""
    headers, cookies = join_headers(request)
    context = _context(request, route, headers)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": context["routeKey"],
        "rawPath": context["http"]["path"],
        "rawQueryString": request.query,
    }
    if cookies:
        event["cookies"] = cookies
    event["headers"] = headers
    if request.query:
        event["queryStringParameters"] = join_query(request.query)
    event["requestContext"] = context
    if parameters:
        event["pathParameters"] = parameters
    if request.body:
        event["body"], encoded = body_text(request.body, headers.get("content-type", ""))
        event["isBase64Encoded"] = encoded
    else:
        event["isBase64Encoded"] = False
    return event


def join_headers(request: Request) -> tuple[dict[str, str], list[str]]:
    """Lowercased headers, duplicates joined by a comma, with what the gateway adds; and the cookies apart."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name == "cookie":
            cookies += [part for part in (piece.strip() for piece in value.split(";")) if part]
        elif name in headers:
            headers[name] += f",{value}"
        else:
            headers[name] = value
    sent = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{sent}, {request.source_ip}" if sent else request.source_ip
    headers["x-forwarded-port"] = str(request.port)
    headers["x-forwarded-proto"] = "http"
    headers.setdefault("x-amzn-trace-id", request.trace_id)
    return headers, cookies


def join_query(query: str) -> dict[str, str]:
    """Decoded parameters, duplicates joined by a comma; both `+` and `%20` are a space."""
    parameters: dict[str, str] = {}
    for pair in query.split("&"):
        if not pair:
            continue
        raw_name, _, raw_value = pair.partition("=")
        name, value = unquote_plus(raw_name), unquote_plus(raw_value)
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


@functools.lru_cache(maxsize=4)
def time_text(epoch: int) -> str:
    """A time in the gateway's spelling: `22/Nov/2026:07:24:11 +0000`."""
    moment = time.gmtime(epoch)
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[moment.tm_mon - 1]
    return f"{moment.tm_mday:02d}/{month}/{moment.tm_year}:{time.strftime('%H:%M:%S', moment)} +0000"


def _context(request: Request, route: Route, headers: dict[str, str]) -> dict[str, Any]:
    host = headers.get("host", "localhost")
    domain = host.rpartition(":")[0] or host
    return {
        "accountId": ACCOUNT_ID,
        "apiId": API_ID,
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request.id,
        "routeKey": route.key,
        "stage": STAGE,
        "time": time_text(int(request.epoch)),
        "timeEpoch": int(request.epoch * 1000),
    }
