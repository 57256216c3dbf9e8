"""What every authorizer works with: identity sources in, a verdict out."""

from __future__ import annotations

import re
from typing import Any, Protocol

from emulator.gateway.response import Response, error_response
from emulator.manifest.model import Route

Event = dict[str, Any]
Verdict = Event | Response
"""The value of `requestContext.authorizer`, or the response to a caller who is refused."""

_SOURCE = re.compile(r"\$(request|context|stageVariables)\.(?:(header|querystring)\.)?(.+)")


class Authorizer(Protocol):
    """Decides who may call the routes that name it."""

    async def ask(self, route: Route, event: Event) -> Verdict:
        """The verdict about one request."""


def identity_value(source: str, event: Event) -> str | None:
    """One identity source's value in a request, None where it has none."""
    match = _SOURCE.fullmatch(source)
    if not match:
        return None
    if match[1] == "context":
        value: Any = event["requestContext"]
        for step in match[3].split("."):
            value = value.get(step) if isinstance(value, dict) else None
        return None if value is None else str(value)
    kind = {"header": "headers", "querystring": "queryStringParameters"}.get(match[2] or "", "stageVariables")
    name = match[3].lower() if kind == "headers" else match[3]
    return (event.get(kind) or {}).get(name) or None


def unauthorized(note: str, challenge: str | None = None) -> Response:
    """The response to a request that does not say who calls; a challenge becomes WWW-Authenticate."""
    response = error_response(401, "Unauthorized", note)
    if challenge:
        response.headers.append((b"www-authenticate", challenge.encode("latin-1", "replace")))
    return response


def forbidden(note: str) -> Response:
    """The response to a caller who may not call this route."""
    return error_response(403, "Forbidden", note)
