"""Lambda authorizers of a REST API (types TOKEN and REQUEST): a function answers with a policy."""

from __future__ import annotations

import re
from typing import Any

from emulator.gateway.authorization import iam_policy
from emulator.gateway.authorization.authorizer_function import Answer, AuthorizerError, AuthorizerFunction
from emulator.gateway.authorization.verdicts import Caller, Event, Verdict
from emulator.gateway.call import Call
from emulator.gateway.response import Response
from emulator.gateway.rest import rest_errors, rest_identity
from emulator.manifest.account import arn
from emulator.manifest.model import RestAuthorizer
from emulator.service.functions import Functions

_OBJECTS = (
    "queryStringParameters",
    "multiValueQueryStringParameters",
    "pathParameters",
    "stageVariables",
)
"""What an authorizer's event has as an empty object where a function's event has null."""


class RestLambdaAuthorizer:
    """Calls the authorizer's function, and keeps its policies for the authorizer's `resultTtlInSeconds`.

    A policy that was kept is applied to every later request of the same identity, whatever its path is, as on AWS.
    """

    def __init__(self, settings: RestAuthorizer, functions: Functions, region: str) -> None:
        self._settings = settings
        self._region = region
        self._function = AuthorizerFunction(settings.function, functions, settings.ttl, is_usable)

    async def ask(self, call: Call) -> Verdict:
        """The verdict about one request; a failed function or a malformed answer is a 500."""
        identity = [rest_identity.value(source, call.event) for source in self._settings.identity_source]
        if reason := self._refusal(identity):
            return rest_errors.unauthorized(reason)
        method_arn = self._method_arn(call.event)
        values = tuple(one or "" for one in identity)
        try:
            answer = await self._function.ask(values, self._event(call.event, method_arn, values))
        except AuthorizerError as error:
            if error.raised == "Unauthorized":
                return rest_errors.unauthorized("the authorizer raised Unauthorized")
            return rest_errors.authorizer_failed(str(error))
        return _verdict(answer, method_arn)

    def _refusal(self, identity: list[str | None]) -> str | None:
        """Why the function is not called. A REQUEST authorizer without caching is called without identity, too."""
        if None in identity and (self._settings.type == "TOKEN" or self._settings.ttl > 0):
            return "no identity"
        expression = self._settings.validation
        if self._settings.type == "TOKEN" and expression and not re.fullmatch(expression, identity[0] or ""):
            return "the token does not match identityValidationExpression"
        return None

    def _method_arn(self, event: Event) -> str:
        context = event["requestContext"]
        call = f"{context['apiId']}/{context['stage']}/{event['httpMethod']}{event['path']}"
        return arn("execute-api", self._region, call)

    def _event(self, event: Event, method_arn: str, identity: tuple[str, ...]) -> Event:
        if self._settings.type == "TOKEN":
            return {"type": "TOKEN", "methodArn": method_arn, "authorizationToken": identity[0]}
        kept = {name: value for name, value in event.items() if name not in ("body", "isBase64Encoded")}
        return {"type": "REQUEST", "methodArn": method_arn, **kept, **{name: kept[name] or {} for name in _OBJECTS}}


def _verdict(answer: Answer, method_arn: str) -> Caller | Response:
    effect = iam_policy.effect(answer.value["policyDocument"], method_arn)
    if effect != "Allow":
        return rest_errors.denied("the authorizer denied it", explicitly=effect == "Deny")
    key = answer.value.get("usageIdentifierKey")
    return Caller(
        "lambda",
        context_texts(answer.value),
        answer.value["principalId"],
        answer.milliseconds,
        str(key) if key else None,
    )


def is_usable(answer: Event) -> bool:
    """Whether an answer has a principal, a policy, and a context of texts, numbers and booleans."""
    context = answer.get("context") or {}
    if not isinstance(context, dict) or any(isinstance(value, dict | list) for value in context.values()):
        return False
    return (
        isinstance(answer.get("principalId"), str) and iam_policy.effect(answer.get("policyDocument"), "") is not None
    )


def context_texts(answer: Event) -> dict[str, str]:
    """The context of a usable answer as the function's event has it: every value is a text."""
    return {name: _text(value) for name, value in (answer.get("context") or {}).items() if value is not None}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
