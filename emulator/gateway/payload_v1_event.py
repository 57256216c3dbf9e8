"""A request as a REST API's event, or as an HTTP API's that asks for it: payload format 1.0."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus

from emulator.gateway import payload_v2_event
from emulator.gateway.request import Request, body_text
from emulator.manifest.account import ACCOUNT_ID
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


def rest_api(request: Request, path: str, route: Route, parameters: dict[str, str], stage: str) -> dict[str, Any]:
    """The event of a REST API; what is empty is null, and `path` is as it was sent, without the stage."""
    headers = _headers(request)
    query = _query(request.query)
    event: dict[str, Any] = {
        "resource": route.path,
        "path": path,
        "httpMethod": request.method,
        "headers": _last(headers),
        "multiValueHeaders": headers or None,
        "queryStringParameters": _last(query),
        "multiValueQueryStringParameters": query or None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": _context(request, route, stage),
        "body": None,
        "isBase64Encoded": False,
    }
    if request.body:
        content_type = (headers.get("Content-Type") or [""])[-1]
        event["body"], event["isBase64Encoded"] = body_text(request.body, content_type)
    return event


def http_api(request: Request, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
    """The same from an HTTP API whose payload is set to 1.0."""
    event = rest_api(request, request.path, route, parameters, payload_v2_event.STAGE)
    context = event["requestContext"]
    context["path"] = request.path
    context["identity"]["cognitoAmr"] = None
    context["resourceId"] = route.key
    context["resourcePath"] = event["resource"] = "$default" if route.path == "*" else route.path
    return {"version": "1.0", **event}


def _headers(request: Request) -> Values:
    """Every value of every header, the names as browsers write them: the wire's case is not kept here."""
    values: Values = {}
    for raw_name, raw_value in request.headers:
        values.setdefault(raw_name.decode("latin-1").title(), []).append(raw_value.decode("latin-1"))
    sent = values.get("X-Forwarded-For", [])
    values["X-Forwarded-For"] = [", ".join([*sent, request.source_ip])]
    values["X-Forwarded-Port"] = [str(request.port)]
    values["X-Forwarded-Proto"] = ["http"]
    values.setdefault("X-Amzn-Trace-Id", [request.trace_id])
    return values


def _query(query: str) -> Values:
    values: Values = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        values.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return values


def _last(values: Values) -> dict[str, str] | None:
    return {name: found[-1] for name, found in values.items()} or None


def _context(request: Request, route: Route, stage: str) -> dict[str, Any]:
    headers = {name: value.decode("latin-1") for name, value in request.headers if name in (b"host", b"user-agent")}
    host = headers.get(b"host", "localhost")
    domain = host.rpartition(":")[0] or host
    return {
        "accountId": ACCOUNT_ID,
        "apiId": payload_v2_event.API_ID,
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "extendedRequestId": request.id,
        "httpMethod": request.method,
        "identity": {
            **dict.fromkeys(_EMPTY_IDENTITY),
            "sourceIp": request.source_ip,
            "userAgent": headers.get(b"user-agent"),
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
