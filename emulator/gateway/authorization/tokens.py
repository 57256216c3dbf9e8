"""JSON Web Tokens, signed with one of their issuer's published keys.

Imported only for a manifest that needs it: PyJWT and cryptography take their time to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jwt
from jwt.types import Options

from emulator.gateway.authorization.issuer_keys import IssuerKeys, KeysError
from emulator.service.clock import Clock

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""API Gateway's documentation: only algorithms with RSA are supported. So the ES family is refused here too."""


_OPTIONS: Options = {
    "require": ["exp"],
    # API Gateway does not look at these.
    "verify_aud": False,
    "verify_sub": False,
    "verify_jti": False,
    # These are compared with the emulator's clock.
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}


class TokenError(Exception):
    """A token that is not accepted; the text says why, for the console and for WWW-Authenticate."""


class ExpiredError(TokenError):
    """A token whose time is over; all else in it is right."""


def without_scheme(value: str) -> str:
    """The token of a header's value: the word Bearer may stand before it."""
    return (value[7:] if value[:7].lower() == "bearer " else value).strip()


async def checked_claims(token: str, keys: IssuerKeys, issuers: Sequence[str], clock: Clock) -> dict[str, Any]:
    """The claims of a token whose signature, issuer and times are right; else a TokenError.

    The audience is the caller's to check.
    """
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise TokenError(f"the algorithm {header.get('alg')!r} is not among {', '.join(ALGORITHMS)}")
        key = await keys.get(str(header.get("kid")))
        claims: dict[str, Any] = jwt.decode(
            token,
            key.public,
            algorithms=[key.algorithm] if key.algorithm else ALGORITHMS,
            issuer=issuers,
            options=_OPTIONS,
        )
        _check_times(claims, clock.time())
        return claims
    except (jwt.PyJWTError, KeysError, UnicodeError, RecursionError) as error:
        raise TokenError(str(error)) from None


def _check_times(claims: dict[str, Any], now: float) -> None:
    """RFC 7519's `exp`, `nbf` and `iat`. PyJWT would compare them with the system's time."""
    times: dict[str, int] = {}
    for name in ("exp", "nbf", "iat"):
        if name in claims:
            try:
                times[name] = int(claims[name])
            except (ValueError, TypeError, OverflowError):
                raise TokenError(f"{name} is not a number") from None
    if times["exp"] <= now:
        raise ExpiredError("Signature has expired")
    for name in ("nbf", "iat"):
        if times.get(name, 0) > now:
            raise TokenError(f"The token is not yet valid ({name})")


def granted_scopes(claims: dict[str, Any]) -> list[str]:
    """What a token allows: `scope` (text or list) or `scp`."""
    found = claims.get("scope", claims.get("scp", ""))
    return list(map(str, found)) if isinstance(found, list) else str(found).split()
