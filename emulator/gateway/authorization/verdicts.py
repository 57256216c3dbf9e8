"""What every authorizer works with: identity sources in, a verdict out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from emulator.gateway.response import Response, error_response

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as an authorizer that lets the call pass says."""

    kind: Literal["jwt", "lambda", "iam", "claims"]
    values: Event
    """The claims, or a Lambda authorizer's context, or the IAM user."""
    principal: str | None = None
    milliseconds: int = 0
    """How long the authorizer's function took; 0 where its earlier answer counts."""
    api_key: str | None = None
    """The API key of the caller (`usageIdentifierKey`)."""


Verdict = Caller | Response
"""Who calls, or the response to a caller who is refused."""

_SOURCE = re.compile(r"\$(request|context|stageVariables)\.(?:(header|querystring)\.)?(.+)")


def identity_value(source: str, event: Event) -> str | None:
    """One identity source's value in an event of format 2.0, None where it has none."""
    match = _SOURCE.fullmatch(source)
    if not match:
        return None
    if match[1] == "context":
        return context_value(match[3], event)
    kind = {"header": "headers", "querystring": "queryStringParameters"}.get(match[2] or "", "stageVariables")
    name = match[3].lower() if kind == "headers" else match[3]
    return (event.get(kind) or {}).get(name) or None


def context_value(path: str, event: Event) -> str | None:
    """A value of the request's context by its path, as in `identity.sourceIp`; None where it has none."""
    value: Any = event["requestContext"]
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return None if value is None else str(value)


def unauthorized(note: str, challenge: str | None = None) -> Response:
    """The response to a request that does not say who calls; a challenge becomes WWW-Authenticate."""
    response = error_response(401, "Unauthorized", note)
    if challenge:
        response.headers.append((b"www-authenticate", challenge.encode("latin-1", "replace")))
    return response


def forbidden(note: str) -> Response:
    """The response to a caller who may not call this route."""
    return error_response(403, "Forbidden", note)
