"""`integration: lambda`: events and answers by the framework's own mapping templates, instead of the whole request.

Source: the templates of the Serverless Framework v3 and osls for integrations that are no proxy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from emulator.containers import Fault, Outcome
from emulator.gateway.authorization.verdicts import Event
from emulator.gateway.request import Request
from emulator.gateway.response import JSON_TYPE, Response
from emulator.gateway.rest import rest_errors
from emulator.manifest.events.rest_model import RestCors

_PATTERNS = {
    **{status: re.compile(rf"[\s\S]*\[{status}\][\s\S]*") for status in (400, 401, 403, 404, 422, 502)},
    500: re.compile(r"[\s\S]*(Process\s?exited\s?before\s?completing\s?request|\[500\])[\s\S]*"),
    504: re.compile(r"([\s\S]*\[504\][\s\S]*)|(.*Task timed out after \d+\.\d+ seconds$)"),
}
"""The status of an error by its whole message. One that no pattern matches is a 200, as the framework deploys it."""


def event_of(request: Request, event: Event, claims: Iterable[str]) -> Event | Response:
    """The function's event, made of the event that a proxy would get; or the response to a body that has no template.

    `claims` are those that the event has besides `sub`.
    """
    body = _body(request)
    if isinstance(body, Response):
        return body
    context = event["requestContext"]
    caller = context.get("authorizer") or {}
    known = caller.get("claims") or {}
    return {
        "body": body,
        "method": event["httpMethod"],
        "principalId": _text(caller.get("principalId")),
        "stage": context["stage"],
        "cognitoPoolClaims": {name.partition(":")[2] or name: _text(known.get(name)) for name in (*claims, "sub")},
        "enhancedAuthContext": _texts(caller),
        "headers": event["headers"],
        "query": event["queryStringParameters"] or {},
        "path": event["pathParameters"] or {},
        "identity": _texts(context["identity"]),
        "stageVariables": {},
        "requestPath": context["resourcePath"],
    }


def answer(outcome: Outcome | None, cors: RestCors | None) -> Response:
    """The result itself as JSON; an error has the status that its message asks for by `[404]` and the like."""
    if outcome is None:
        return rest_errors.failed(504, "Endpoint request timed out", "timed out")
    if outcome.fault is Fault.THROTTLED:
        return rest_errors.failed(500, "Internal server error", "every container is busy")
    response = Response(200 if outcome.fault is None else _status(outcome), outcome.payload, [JSON_TYPE])
    response.headers += _cors_headers(cors)
    return response


def accepted(cors: RestCors | None) -> Response:
    """The answer for `async: true`: the function runs on, nobody waits for it."""
    return Response(200, b"", [JSON_TYPE, *_cors_headers(cors)])


def _body(request: Request) -> Any:
    kind = request.header(b"content-type").partition(";")[0].strip().lower() or "application/json"
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
    if kind != "application/json":
        return rest_errors.error(415, "Unsupported Media Type", "BadRequestException", f"no template for {kind}")
    try:
        return json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:
        return rest_errors.bad_request(f"Could not parse request body into json: {error}")


def _texts(values: Event) -> dict[str, str]:
    return {name: _text(value) for name, value in values.items()}


def _text(value: Any) -> str:
    """A value as a template writes it: an object in Java's spelling, null as nothing."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}={_text(one)}' for name, one in value.items())}}}"
    return "" if value is None else str(value)


def _status(failed: Outcome) -> int:
    error = failed.value
    message = str(error.get("errorMessage", "")) if isinstance(error, dict) else ""
    return next((status for status, pattern in _PATTERNS.items() if pattern.fullmatch(message)), 200)


def _cors_headers(cors: RestCors | None) -> list[tuple[bytes, bytes]]:
    if cors is None:
        return []
    headers = [(b"access-control-allow-origin", (",".join(cors.origins) or cors.origin or "").encode())]
    return [*headers, (b"access-control-allow-credentials", b"true")] if cors.allow_credentials else headers
