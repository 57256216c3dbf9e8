"""A Lambda authorizer's work: the token in an event, and the answer that each kind of API understands.

HTTP APIs (payload format 2.0) get simple responses; WebSocket's `$connect` and REST APIs get an IAM policy. Both have
the same context, `{user_id, role}`, which the gateway hands to the function that is called. For a WebSocket handshake
it also has the `session_id` of the query: the gateway passes it on with every later event of the connection.

An answer is for one request. The API must not keep it (`resultTtlInSeconds: 0`): it would outlive its token, and a kept
policy refuses every other route.
"""

import base64
import binascii
import logging
from collections.abc import Mapping
from typing import Any

from shared.config import Settings
from shared.entities import Caller
from shared.errors import IdentityUnavailableError
from shared.identity import UNAVAILABLE
from shared.identity.claims import ClaimMapping
from shared.identity.tokens import TokenError, verifier

log = logging.getLogger(__name__)

Event = Mapping[str, Any]
Answer = dict[str, Any]


class Unauthorized(Exception):  # noqa: N818
    """Makes a REST or WebSocket API answer 401: the gateway looks for exactly this text."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


def authorize(event: Event, settings: Settings) -> Answer:
    """The answer to an authorizer's event.

    A caller who cannot be verified because an issuer's keys cannot be fetched passes with a mark instead of a caller:
    the function then answers 503, which no authorizer can. Under `trust` everybody passes, without a caller; for a
    handshake the query says who connects, and `connect` checks it. Raises `ConfigurationError`, and `Unauthorized`
    where the API wants it.
    """
    if settings.identity == "trust":
        return _allowed(event, "anybody", _said(event, "user_id", "role"))
    try:
        caller = _caller(event, settings)
    except IdentityUnavailableError:
        return _allowed(event, "unverified", {UNAVAILABLE: "true"})
    except TokenError as error:
        log.warning("refused a token: %s", error)
        return _refused(event)
    return _allowed(event, caller.user_id, {"user_id": caller.user_id, "role": caller.role})


def _said(event: Event, *names: str) -> dict[str, str]:
    """What the query of a handshake says of these; nothing for another event."""
    query = (event.get("queryStringParameters") or {}) if _is_handshake(event) else {}
    return {name: str(query[name]) for name in names if name in query}


def _caller(event: Event, settings: Settings) -> Caller:
    claims = verifier(settings).claims(_token(event))
    caller = ClaimMapping.of(settings).caller(claims)
    if caller is None:
        raise TokenError("no claim names the user")
    return caller


def _token(event: Event) -> str:
    """The token of a request: `Authorization: Bearer`; for WebSocket also the password of `Basic`, and `?token=`."""
    sent = event.get("authorizationToken") or _header(event, "authorization")
    scheme, _, value = sent.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if _is_handshake(event):
        if scheme.lower() == "basic":
            return _password(value.strip())
        if not sent and (token := (event.get("queryStringParameters") or {}).get("token")):
            return str(token)
    raise TokenError("none was sent")


def _header(event: Event, name: str) -> str:
    headers = event.get("headers") or {}
    return next((str(value) for key, value in headers.items() if key.lower() == name), "")


def _is_handshake(event: Event) -> bool:
    return (event.get("requestContext") or {}).get("eventType") == "CONNECT"


def _password(credentials: str) -> str:
    """The password of `Basic` credentials: what `wss://user:TOKEN@host` becomes in many clients."""
    try:
        return base64.b64decode(credentials, validate=True).decode("ascii").partition(":")[2]
    except (binascii.Error, ValueError):
        raise TokenError("Basic credentials that are not base64") from None


def _allowed(event: Event, principal: str, context: dict[str, str]) -> Answer:
    if "methodArn" not in event:
        return {"isAuthorized": True, "context": context}
    context = context | _said(event, "session_id")
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": principal, "policyDocument": policy, "context": context}


def _refused(event: Event) -> Answer:
    if "methodArn" in event:
        raise Unauthorized
    return {"isAuthorized": False}
