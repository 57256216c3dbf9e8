"""Authorizers at work: who may call a route, and what the function learns about the caller."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from emulator.gateway import jwt
from emulator.gateway.response import Response, error_response
from emulator.manifest.account import arn
from emulator.manifest.model import JwtAuthorizer, RequestAuthorizer, Route
from emulator.service.functions import Functions

Event = dict[str, Any]
Verdict = Event | Response
"""What goes to `requestContext.authorizer`, or the answer that turns the caller away."""

_SOURCE = re.compile(r"\$(request|context|stageVariables)\.(?:(header|querystring)\.)?(.+)")


class Authorizers:
    """Asks the authorizer of a route; remembers a Lambda authorizer's answers for as long as it says."""

    def __init__(self, functions: Functions, region: str) -> None:
        self.functions = functions
        self.region = region
        self.keys: dict[str, jwt.Keys] = {}
        self.remembered: dict[tuple[str, ...], tuple[float, Any]] = {}

    async def ask(self, route: Route, authorizer: RequestAuthorizer | JwtAuthorizer, event: Event) -> Verdict:
        """The verdict about one request."""
        if isinstance(authorizer, JwtAuthorizer):
            return await self._token(route, authorizer, event)
        identity = [identity_value(source, event) for source in authorizer.identity_source]
        if None in identity:
            return unauthorized("no identity")
        return await self._request(authorizer, [str(one) for one in identity], event)

    async def _request(self, authorizer: RequestAuthorizer, identity: list[str], event: Event) -> Verdict:
        route_arn = self._route_arn(event)
        key = (authorizer.name, *identity)
        deadline, answer = self.remembered.get(key, (0.0, {}))
        if not authorizer.ttl or not identity or deadline < time.monotonic():
            asked = _authorizer_event(event, route_arn, identity, authorizer.payload_version)
            outcome = await self.functions.invoke(authorizer.function, json.dumps(asked).encode())
            if outcome.fault is not None:
                return error_response(500, "Internal Server Error", "the authorizer failed")
            answer = _parsed(outcome.payload)
            if authorizer.ttl:
                self.remembered[key] = (time.monotonic() + authorizer.ttl, answer)
        allowed = _allowed(answer, route_arn, simple=authorizer.simple_responses)
        if allowed is None:
            return error_response(500, "Internal Server Error", "the authorizer's answer is malformed")
        if not allowed:
            return forbidden("the authorizer denied it")
        return {"lambda": answer.get("context") or {}}

    async def _token(self, route: Route, authorizer: JwtAuthorizer, event: Event) -> Verdict:
        found = identity_value(authorizer.identity_source[0], event)
        if not found:
            return unauthorized("no token", "Bearer")
        token = found[7:] if found[:7].lower() == "bearer " else found
        keys = self.keys.setdefault(authorizer.issuer, jwt.Keys(authorizer.issuer))
        try:
            claims = await jwt.verify(token.strip(), authorizer, keys)
        except jwt.TokenError as error:
            told = f'Bearer scope="" error="invalid_token" error_description="{error}"'
            return unauthorized(str(error), told)
        granted = jwt.scopes(claims)
        if route.scopes and not set(route.scopes) & set(granted):
            return forbidden(f"none of the scopes {', '.join(route.scopes)}")
        return {"jwt": {"claims": jwt.texts(claims), "scopes": granted if route.scopes else None}}

    def _route_arn(self, event: Event) -> str:
        context = event["requestContext"]
        method, path = context["http"]["method"], context["http"]["path"]
        return arn("execute-api", self.region, f"{context['apiId']}/{context['stage']}/{method}{path}")


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
    """The answer to somebody who has not said who they are."""
    response = error_response(401, "Unauthorized", note)
    if challenge:
        response.headers.append((b"www-authenticate", challenge.encode("latin-1", "replace")))
    return response


def forbidden(note: str) -> Response:
    """The answer to somebody who may not."""
    return error_response(403, "Forbidden", note)


def _authorizer_event(event: Event, route_arn: str, identity: list[str], version: str) -> Event:
    kept = {name: value for name, value in event.items() if name not in ("body", "isBase64Encoded", "version")}
    if version == "1.0":
        named = {"methodArn": route_arn, "identitySource": ",".join(identity), "authorizationToken": ",".join(identity)}
        return {"version": "1.0", "type": "REQUEST", **named, **kept}
    return {"version": "2.0", "type": "REQUEST", "routeArn": route_arn, "identitySource": identity, **kept}


def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return None


def _allowed(answer: Any, route_arn: str, *, simple: bool) -> bool | None:
    """Whether an authorizer's answer allows the request; None for an answer that is none."""
    if not isinstance(answer, dict) or not isinstance(answer.get("context") or {}, dict):
        return None
    if simple:
        verdict = answer.get("isAuthorized")
        return verdict if isinstance(verdict, bool) else None
    policy = answer.get("policyDocument")
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not isinstance(answer.get("principalId"), str):
        return None
    effects = {one.get("Effect") for one in statements if isinstance(one, dict) and _applies(one, route_arn)}
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: dict[str, Any], route_arn: str) -> bool:
    actions, resources = _list(statement.get("Action")), _list(statement.get("Resource"))
    invoked = any(_fits(action.lower(), "execute-api:invoke") for action in actions)
    return invoked and any(_fits(resource, route_arn) for resource in resources)


def _list(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _fits(pattern: str, text: str) -> bool:
    """IAM's wildcards: a star for anything, slashes included, a question mark for one character."""
    expression = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None
