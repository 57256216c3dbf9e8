"""Lambda authorizers (type REQUEST): a function decides who may call."""

from __future__ import annotations

import json
from typing import Any

from emulator.gateway import iam_policy
from emulator.gateway.expiring_cache import ExpiringCache
from emulator.gateway.response import error_response
from emulator.gateway.verdicts import Event, Verdict, forbidden, identity_value, unauthorized
from emulator.manifest.account import arn
from emulator.manifest.model import RequestAuthorizer, Route
from emulator.service.functions import Functions


class LambdaAuthorizer:
    """Calls the authorizer's function, and keeps its answers for the authorizer's `resultTtlInSeconds`."""

    def __init__(self, settings: RequestAuthorizer, functions: Functions, region: str) -> None:
        self._settings = settings
        self._functions = functions
        self._region = region
        self._answers: ExpiringCache[tuple[str, ...], Event] = ExpiringCache(settings.ttl)

    async def ask(self, route: Route, event: Event) -> Verdict:
        """The verdict about one request; a failed function or a malformed answer is a 500."""
        identity = [identity_value(source, event) for source in self._settings.identity_source]
        if None in identity:
            return unauthorized("no identity")
        values = tuple(map(str, identity))
        route_arn = self._route_arn(event)
        answer = self._answers.get(values) if values else None
        if answer is None:
            outcome = await self._functions.invoke(self._settings.function, self._event(event, route_arn, values))
            if outcome.fault is not None:
                return error_response(500, "Internal Server Error", "the authorizer failed")
            answer = _parsed(outcome.payload)
            self._answers.put(values, answer)
        return self._verdict(answer, route_arn)

    def _verdict(self, answer: Event, route_arn: str) -> Verdict:
        allowed = _allowed(answer, route_arn, simple=self._settings.simple_responses)
        if allowed is None:
            return error_response(500, "Internal Server Error", "the authorizer's answer is malformed")
        if not allowed:
            return forbidden("the authorizer denied it")
        return {"lambda": answer.get("context") or {}}

    def _route_arn(self, event: Event) -> str:
        context = event["requestContext"]
        method, path = context["http"]["method"], context["http"]["path"]
        return arn("execute-api", self._region, f"{context['apiId']}/{context['stage']}/{method}{path}")

    def _event(self, event: Event, route_arn: str, identity: tuple[str, ...]) -> bytes:
        kept = {name: value for name, value in event.items() if name not in ("body", "isBase64Encoded", "version")}
        if self._settings.payload_version == "1.0":
            joined = ",".join(identity)
            named: Event = {"methodArn": route_arn, "identitySource": joined, "authorizationToken": joined}
        else:
            named = {"routeArn": route_arn, "identitySource": list(identity)}
        return json.dumps({"version": self._settings.payload_version, "type": "REQUEST", **named, **kept}).encode()


def _parsed(payload: bytes) -> Event:
    """The function's answer; an empty one, which allows nobody, for what is not an object."""
    try:
        answer = json.loads(payload)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _allowed(answer: Event, route_arn: str, *, simple: bool) -> bool | None:
    """Whether an authorizer's answer allows the request; None for a malformed answer."""
    if not isinstance(answer.get("context") or {}, dict):
        return None
    if simple:
        verdict: Any = answer.get("isAuthorized")
        return verdict if isinstance(verdict, bool) else None
    if not isinstance(answer.get("principalId"), str):
        return None
    return iam_policy.allows(answer.get("policyDocument"), route_arn)
