"""A request as an Application Load Balancer hands it to a function."""

from __future__ import annotations

import base64
from typing import Any

from emulator.gateway.request import Request
from emulator.manifest.events.alb_model import AlbRule

Values = dict[str, list[str]]

_TEXT = ("text/", "application/json", "application/javascript", "application/xml")


def build(request: Request, rule: AlbRule) -> dict[str, Any]:
    """The event, paths and parameters as they were sent. Without `multi_value`, the last of several values counts."""
    body, encoded = _body(request)
    headers, query = _headers(request), _query(request.query)
    values: dict[str, Any] = (
        {"multiValueQueryStringParameters": query, "multiValueHeaders": headers}
        if rule.multi_value
        else {"queryStringParameters": _last(query), "headers": _last(headers)}
    )
    return {
        "requestContext": {"elb": {"targetGroupArn": rule.target_group}},
        "httpMethod": request.method,
        "path": request.raw_path,
        **values,
        "body": body,
        "isBase64Encoded": encoded,
    }


def _headers(request: Request) -> Values:
    values: Values = {}
    for name, value in request.headers:
        values.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    sent = values.get("x-forwarded-for", [])
    values["x-forwarded-for"] = [", ".join([*sent, request.source_ip])]
    values["x-forwarded-port"] = [str(request.port)]
    values["x-forwarded-proto"] = ["http"]
    values.setdefault("x-amzn-trace-id", [request.trace_id])
    return values


def _query(query: str) -> Values:
    values: Values = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        values.setdefault(name, []).append(value)
    return values


def _last(values: Values) -> dict[str, str]:
    return {name: found[-1] for name, found in values.items()}


def _body(request: Request) -> tuple[str, bool]:
    """Text when its type is one that a load balancer takes for text, and nothing compressed it; else base64."""
    kind = request.header(b"content-type").strip().lower()
    if not request.body or (kind.startswith(_TEXT) and not request.header(b"content-encoding")):
        return request.body.decode(errors="replace"), False
    return base64.b64encode(request.body).decode(), True
