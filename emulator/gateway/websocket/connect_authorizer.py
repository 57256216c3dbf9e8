"""The Lambda authorizer of `$connect`: type REQUEST, answers are IAM policies, and none is kept."""

from __future__ import annotations

from typing import Any

from emulator.gateway.authorization import iam_policy
from emulator.gateway.authorization.authorizer_function import Answer, AuthorizerError, AuthorizerFunction
from emulator.gateway.authorization.rest_lambda_authorizer import context_texts, is_usable
from emulator.gateway.authorization.verdicts import Event, context_value
from emulator.gateway.request import Request
from emulator.gateway.response import Response
from emulator.gateway.websocket import answers, events
from emulator.gateway.websocket.connection import Connection
from emulator.manifest.events.websocket_model import WebSocketAuthorizer
from emulator.manifest.model import Manifest
from emulator.service.functions import Functions

_PLACES = {"header": "headers", "querystring": "queryStringParameters"}


async def ask(
    settings: WebSocketAuthorizer, connection: Connection, request: Request, manifest: Manifest, functions: Functions
) -> Response | dict[str, Any]:
    """What later events have at `requestContext.authorizer`, or the response to a handshake that is refused."""

    def refused(status: int, message: str, note: str) -> Response:
        return answers.refusal(connection, status, message, request.id, note)

    if settings.unavailable:
        return refused(403, answers.FORBIDDEN, f"the authorizer cannot be asked here: {settings.unavailable}")
    event = events.authorizer(connection, request, manifest.region, functions.clock.time())
    missing = [source for source in settings.identity_source if not _identity(source, event)]
    if missing:
        return refused(401, answers.UNAUTHORIZED, f"no {missing[0]}")
    function = AuthorizerFunction(manifest.functions[settings.function], functions, 0, is_usable)
    try:
        answer = await function.ask((), event)
    except AuthorizerError as problem:
        if problem.raised == answers.UNAUTHORIZED:
            return refused(401, answers.UNAUTHORIZED, "the authorizer raised Unauthorized")
        return refused(500, answers.FAILED, str(problem))
    if iam_policy.effect(answer.value["policyDocument"], event["methodArn"]) != "Allow":
        return refused(403, answers.FORBIDDEN, "the authorizer denied it")
    return _context(answer)


def _context(answer: Answer) -> dict[str, Any]:
    own = {"principalId": answer.value["principalId"], "integrationLatency": answer.milliseconds}
    return {**context_texts(answer.value), **own}


def _identity(source: str, event: Event) -> str | None:
    root, _, path = source.partition(".")
    if root == "context":
        return context_value(path, event)
    if root == "stageVariables":
        return None
    kind, _, name = path.removeprefix("request.").partition(".")
    values: dict[str, str] = event[_PLACES[kind]]
    if kind == "header":
        return next((value for key, value in values.items() if key.lower() == name.lower()), None)
    return values.get(name)
