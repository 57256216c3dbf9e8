"""The event of each route of a function, as an ordinary request to it would make it: to try the function with."""

from __future__ import annotations

import re
from typing import Any

from emulator.gateway.apis import Api, HttpApi
from emulator.gateway.request import SENT_NAMES, Request
from emulator.gateway.rest.rest_api import RestApi
from emulator.manifest.model import Function, Manifest, Route

_PARAMETER = re.compile(r"\{(\w+)\+?\}")
_WITH_BODY = ("POST", "PUT", "PATCH")


def events(manifest: Manifest, function: Function, now: float) -> list[tuple[str, dict[str, Any]]]:
    """The route's method and path, and the event of a request at this time of day, without a caller.

    Function URLs and load balancers are left out.
    """
    apis: dict[str, Api] = {"httpApi": HttpApi(manifest), "http": RestApi(manifest)}
    prefixes = {"httpApi": "", "http": f"/{manifest.rest_stage}"}
    return [
        (f"{route.method} {route.path}", _event(apis[route.kind], prefixes[route.kind], route, now))
        for route in manifest.routes
        if route.function.name == function.name and route.kind in apis
    ]


def _event(api: Api, prefix: str, route: Route, now: float) -> dict[str, Any]:
    method = "GET" if route.method == "ANY" else route.method
    path = "/" if route.path == "*" else _PARAMETER.sub(r"\1", route.path)
    headers = [(b"host", b"127.0.0.1:8080"), (b"accept", b"*/*")]
    body = b""
    if method in _WITH_BODY:
        body = b"{}"
        headers.append((b"content-type", b"application/json"))
    scope = {
        "method": method,
        "raw_path": f"{prefix}{path}".encode(),
        "query_string": b"",
        "headers": headers,
        "http_version": "1.1",
        SENT_NAMES: [name for name, _ in headers],
    }
    names = _PARAMETER.findall(route.path)
    request = Request.from_scope(scope, now)
    request.body = body
    return api.event(request, route, {name: name for name in names})
