"""Lambda authorizers of an HTTP API (type REQUEST): a function decides who may call."""

from __future__ import annotations

from emulator.gateway.authorization import iam_policy
from emulator.gateway.authorization.authorizer_function import AuthorizerError, AuthorizerFunction
from emulator.gateway.authorization.verdicts import Caller, Event, Verdict, forbidden, identity_value, unauthorized
from emulator.gateway.call import Call
from emulator.gateway.response import error_response
from emulator.manifest.account import arn
from emulator.manifest.model import RequestAuthorizer
from emulator.service.functions import Functions

_V1_KEYS = (
    "resource",
    "path",
    "httpMethod",
    "headers",
    "queryStringParameters",
    "pathParameters",
    "stageVariables",
    "requestContext",
)


class LambdaAuthorizer:
    """Calls the authorizer's function, and keeps its answers for the authorizer's `resultTtlInSeconds`."""

    def __init__(self, settings: RequestAuthorizer, functions: Functions, region: str) -> None:
        self._settings = settings
        self._region = region
        self._function = AuthorizerFunction(settings.function, functions, settings.ttl, self._is_usable)

    async def ask(self, call: Call) -> Verdict:
        """The verdict about one request; a failed function or a malformed answer is a 500."""
        event = call.v2()
        identity = [identity_value(source, event) for source in self._settings.identity_source]
        if None in identity:
            return unauthorized("no identity")
        values = tuple(map(str, identity))
        route_arn = self._route_arn(event)
        try:
            answer = await self._function.ask(values, self._event(call, route_arn, values))
        except AuthorizerError as error:
            return error_response(500, "Internal Server Error", str(error))
        if not self._allows(answer.value, route_arn):
            return forbidden("the authorizer denied it")
        context, principal = answer.value.get("context") or {}, answer.value.get("principalId")
        return Caller("lambda", context, principal, answer.milliseconds)

    def _route_arn(self, event: Event) -> str:
        context = event["requestContext"]
        method, path = context["http"]["method"], context["http"]["path"]
        return arn("execute-api", self._region, f"{context['apiId']}/{context['stage']}/{method}{path}")

    def _event(self, call: Call, route_arn: str, identity: tuple[str, ...]) -> Event:
        if self._settings.payload_version == "1.0":
            event, joined = call.v1(), ",".join(identity)
            named: Event = {"methodArn": route_arn, "identitySource": joined, "authorizationToken": joined}
            kept = {name: {} if event[name] is None else event[name] for name in _V1_KEYS}
            return {"version": "1.0", "type": "REQUEST", **named, **kept}
        kept = {name: value for name, value in call.v2().items() if name not in ("body", "isBase64Encoded", "version")}
        return {"version": "2.0", "type": "REQUEST", "routeArn": route_arn, "identitySource": list(identity), **kept}

    def _is_usable(self, answer: Event) -> bool:
        if not isinstance(answer.get("context") or {}, dict):
            return False
        if self._settings.simple_responses:
            return isinstance(answer.get("isAuthorized"), bool)
        return (
            isinstance(answer.get("principalId"), str)
            and iam_policy.effect(answer.get("policyDocument"), "") is not None
        )

    def _allows(self, answer: Event, route_arn: str) -> bool:
        if self._settings.simple_responses:
            return answer["isAuthorized"] is True
        return iam_policy.effect(answer["policyDocument"], route_arn) == "Allow"
