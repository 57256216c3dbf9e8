"""Who calls: from an event to a verified `Caller`, and what a request may say of its caller.

With `SWITCHBOARD_IDENTITY=trust` a request says itself who calls, and nothing here decides anything. With `claims` a
caller comes from what the gateway verified and from nothing else: the claims of its JWT authorizer, or the context
that a Lambda authorizer (`functions.authorize`) answered with. Headers, bodies and queries are never believed. An
event without a request context was not sent by a gateway: a direct invocation is the operator's, and passes.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from shared.config import Settings
from shared.entities import INSTRUCTOR, STUDENT, Caller
from shared.errors import IdentityMismatchError, IdentityUnavailableError, UnauthenticatedError
from shared.identity.claims import ClaimMapping
from shared.rules import is_user_id

UNAVAILABLE = "identity_unavailable"
"""The key of a Lambda authorizer's context which says that an issuer's keys could not be fetched."""

_USER_FIELDS = ("user_id", "from_user", "instructor_id")

Event = Mapping[str, Any]
T = TypeVar("T")


class Identity:
    """What the settings say of callers."""

    def __init__(self, settings: Settings) -> None:
        self.verified = settings.identity == "claims"
        self._mapping = ClaimMapping.of(settings)

    def caller(self, event: Event) -> Caller | None:
        """The verified caller of an event; None under `trust`, and for an operator's direct invocation.

        Raises `UnauthenticatedError`, `IdentityUnavailableError`.
        """
        if not self.verified or event.get("requestContext") is None:
            return None
        caller = self._known_caller(event)
        if caller is None:
            raise UnauthenticatedError
        return caller

    def is_stranger(self, event: Event) -> bool:
        """Whether callers must be verified and this one is not; an operator's direct invocation is no stranger's."""
        try:
            return self.verified and event.get("requestContext") is not None and self._known_caller(event) is None
        except IdentityUnavailableError:
            return True

    def _known_caller(self, event: Event) -> Caller | None:
        context = event["requestContext"]
        authorizer = context.get("authorizer") if isinstance(context, dict) else None
        if not isinstance(authorizer, dict):
            return None
        claims = _verified_claims(authorizer)
        return _context_caller(authorizer) if claims is None else self._mapping.caller(claims)


def _verified_claims(authorizer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The claims that a JWT authorizer (HTTP API) or a user pool authorizer (REST API) verified."""
    token = authorizer.get("jwt")
    claims = token.get("claims") if isinstance(token, dict) else authorizer.get("claims")
    return claims if isinstance(claims, dict) else None


def _context_caller(authorizer: Mapping[str, Any]) -> Caller | None:
    """The caller in a Lambda authorizer's context: under `lambda`, or flat beside `principalId`."""
    context = authorizer.get("lambda", authorizer if "principalId" in authorizer else None)
    if not isinstance(context, dict):
        return None
    if context.get(UNAVAILABLE):
        raise IdentityUnavailableError
    user_id, role = context.get("user_id"), context.get("role")
    if not isinstance(user_id, str) or not is_user_id(user_id) or role not in (STUDENT, INSTRUCTOR):
        return None
    return Caller(user_id, role)


def filled_in(fields: dict[str, T], known: tuple[str, ...], caller: Caller | None) -> dict[str, T]:
    """The same fields, with the caller's added where they are missing; `known` are the names that a request may have.

    Raises `IdentityMismatchError` for a field that names somebody else, or another role.
    """
    if caller is None:
        return fields
    own: Any
    for name in known:
        if name in _USER_FIELDS:
            own = caller.user_id
        elif name == "role":
            own = caller.role
        else:
            continue
        if fields.setdefault(name, own) != own:
            raise IdentityMismatchError(f"{name}: is not the caller's")
    return fields
