"""From verified claims to the service's two words: a user id and a role.

Schools name users and roles in their own ways. A user claim that is no user id of the service becomes one by a hash,
always the same for the same issuer and claim. A role that is not known makes a student, never an instructor.
"""

import base64
import functools
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from shared.config import Settings, listed
from shared.entities import INSTRUCTOR, STUDENT, Caller
from shared.rules import is_user_id

Claims = Mapping[str, Any]
"""A token's claims, by their names."""

_HASHED = re.compile(r"u-[A-Za-z0-9_-]{43}")


class ClaimMapping(msgspec.Struct, frozen=True):
    """Which claims are read, and which roles make an instructor."""

    user_claim: str
    role_claims: tuple[str, ...]
    instructor_roles: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> "ClaimMapping":
        """The mapping that the settings describe."""
        return cls(settings.user_claim, listed(settings.role_claim), frozenset(listed(settings.instructor_roles)))

    def caller(self, claims: Claims) -> Caller | None:
        """The caller that verified claims name; None when they name no user."""
        name = user_name(claims.get(self.user_claim))
        if name is None:
            return None
        return Caller(user_id(str(claims.get("iss", "")), name), self.role(claims))

    def role(self, claims: Claims) -> str:
        """`instructor` when one of the role claims holds an instructor's role, else `student`."""
        for claim in self.role_claims:
            if claim in claims and not self.instructor_roles.isdisjoint(roles_in(claims[claim])):
                return INSTRUCTOR
        return STUDENT


def user_name(claim: Any) -> str | None:
    """A user claim as text: a non-empty text, or a whole number as its digits; None for anything else."""
    if isinstance(claim, int) and not isinstance(claim, bool):
        return str(claim)
    return claim if isinstance(claim, str) and claim else None


@functools.lru_cache(maxsize=1024)  # a warm environment sees the same people again and again
def user_id(issuer: str, name: str) -> str:
    """A user's id in the service: the name itself where it is a user id, else `u-` and 43 characters of its hash.

    The hash is the unpadded base64url SHA-256 of the issuer, a line feed and the name. A name that already looks like
    such an id is hashed too, so that nobody can choose the id of somebody else.
    """
    if is_user_id(name) and not (name.startswith("u-") and _HASHED.fullmatch(name)):
        return name
    digest = hashlib.sha256(f"{issuer}\n{name}".encode("utf-8", "surrogatepass")).digest()
    return "u-" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def roles_in(claim: Any) -> tuple[str, ...]:
    """The roles that one claim holds: a text is one role, a list holds several.

    API Gateway's JWT authorizer hands a list on as the text `[a b]`: a role with a space in its name cannot be
    recognised in it.
    """
    if isinstance(claim, str):
        if claim.startswith("[") and claim.endswith("]"):
            return tuple(claim[1:-1].split())
        return (claim,)
    return tuple(role for role in claim if isinstance(role, str)) if isinstance(claim, list | tuple) else ()
