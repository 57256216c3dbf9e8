"""A request as a REST API's event, or as an HTTP API's that asks for it: payload format 1.0."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_plus

from emulator.gateway import media_types, payload_v2_event
from emulator.gateway.request import Request, body_text
from emulator.manifest.account import ACCOUNT_ID, API_ID
from emulator.manifest.model import Route

Values = dict[str, list[str]]

_EMPTY_IDENTITY = (
    "accessKey",
    "accountId",
    "caller",
    "cognitoAuthenticationProvider",
    "cognitoAuthenticationType",
    "cognitoIdentityId",
    "cognitoIdentityPoolId",
    "principalOrgId",
    "user",
    "userArn",
)


def rest_api(
    request: Request, path: str, route: Route, parameters: dict[str, str], stage: str, binary_types: Iterable[str] = ()
) -> dict[str, Any]:
    """The event of a REST API; what is empty is null, and `path` is as it was sent, without the stage.

    A body is text, as UTF-8, unless its type is one of the API's `binary_types`.
    """
    event = _event(request, path, route, parameters, stage)
    if request.body and media_types.matches(request.header(b"content-type") or "application/json", binary_types):
        event["body"], event["isBase64Encoded"] = base64.b64encode(request.body).decode(), True
    elif request.body:
        event["body"] = request.body.decode(errors="replace")
    return event


def http_api(request: Request, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
    """The same from an HTTP API whose payload is set to 1.0."""
    event = _event(request, request.path, route, parameters, payload_v2_event.STAGE)
    context = event["requestContext"]
    context["path"] = request.path
    context["identity"]["cognitoAmr"] = None
    context["resourceId"] = route.key
    context["resourcePath"] = event["resource"] = "$default" if route.path == "*" else route.path
    if request.body:
        event["body"], event["isBase64Encoded"] = body_text(request.body, request.header(b"content-type"))
    return {"version": "1.0", **event}


def _event(request: Request, path: str, route: Route, parameters: dict[str, str], stage: str) -> dict[str, Any]:
    """The event of a request without its body."""
    headers = header_values(request)
    query = query_values(request.query)
    return {
        "resource": route.path,
        "path": path,
        "httpMethod": request.method,
        "headers": last(headers) or None,
        "multiValueHeaders": headers or None,
        "queryStringParameters": last(query) or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": _context(request, route, stage),
        "body": None,
        "isBase64Encoded": False,
    }


def header_values(request: Request) -> Values:
    """Every value of every header, each name as the client first wrote it, with what the gateway adds."""
    values: Values = {}
    spelled: dict[str, str] = {}
    for raw_name, (raw_lower, raw_value) in zip(request.sent_names, request.headers, strict=True):
        name = spelled.setdefault(raw_lower.decode("latin-1"), raw_name.decode("latin-1"))
        values.setdefault(name, []).append(raw_value.decode("latin-1"))
    sent = values.pop(spelled.get("x-forwarded-for", ""), [])
    for name in ("x-forwarded-port", "x-forwarded-proto"):
        values.pop(spelled.get(name, ""), None)
    values["X-Forwarded-For"] = [", ".join([*sent, request.source_ip])]
    values["X-Forwarded-Port"] = [str(request.port)]
    values["X-Forwarded-Proto"] = ["http"]
    values.setdefault(spelled.get("x-amzn-trace-id", "X-Amzn-Trace-Id"), [request.trace_id])
    return values


def query_values(query: str) -> Values:
    """Every value of every parameter, decoded."""
    values: Values = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        values.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return values


def last(values: Values) -> dict[str, str]:
    """The last value of each name."""
    return {name: found[-1] for name, found in values.items()}


def domain(host: str) -> str:
    """A Host header without its port."""
    return host.rpartition(":")[0] or host


def _context(request: Request, route: Route, stage: str) -> dict[str, Any]:
    name = domain(request.header(b"host") or "localhost")
    return {
        "accountId": ACCOUNT_ID,
        "apiId": API_ID,
        "domainName": name,
        "domainPrefix": name.partition(".")[0],
        "extendedRequestId": request.id,
        "httpMethod": request.method,
        "identity": {
            **dict.fromkeys(_EMPTY_IDENTITY),
            "sourceIp": request.source_ip,
            "userAgent": request.header(b"user-agent") or None,
        },
        "path": request.raw_path,
        "protocol": request.protocol,
        "requestId": request.id,
        "requestTime": payload_v2_event.time_text(int(request.epoch)),
        "requestTimeEpoch": int(request.epoch * 1000),
        "resourceId": "local",
        "resourcePath": route.path,
        "stage": stage,
    }
