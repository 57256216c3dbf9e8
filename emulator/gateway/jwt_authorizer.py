"""JWT authorizers: who calls is said by a JSON Web Token, signed with one of its issuer's published keys.

Imported only for a manifest that has a JWT authorizer: PyJWT and cryptography take their time to import.
"""

from __future__ import annotations

import json
from typing import Any

import jwt

from emulator.gateway.issuer_keys import IssuerKeys, KeysError
from emulator.gateway.verdicts import Event, Verdict, forbidden, identity_value, unauthorized
from emulator.manifest.model import JwtAuthorizer, Route

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""API Gateway's documentation: only algorithms with RSA are supported. So the ES family is refused here too."""


class TokenError(Exception):
    """A token that is not accepted; the text says why, for the console and for WWW-Authenticate."""


class TokenAuthorizer:
    """Checks the token of a request against one JWT authorizer of the manifest."""

    def __init__(self, settings: JwtAuthorizer) -> None:
        self._settings = settings
        self._keys = IssuerKeys(settings.issuer)

    async def ask(self, route: Route, event: Event) -> Verdict:
        """The verdict about one request."""
        found = identity_value(self._settings.identity_source[0], event)
        if not found:
            return unauthorized("no token", "Bearer")
        token = found[7:] if found[:7].lower() == "bearer " else found
        try:
            claims = await self._claims(token.strip())
        except TokenError as error:
            description = "".join(char for char in str(error) if char.isprintable() and char not in '"\\')
            return unauthorized(str(error), f'Bearer scope="" error="invalid_token" error_description="{description}"')
        granted = _scopes(claims)
        if route.scopes and not set(route.scopes) & set(granted):
            return forbidden(f"none of the scopes {', '.join(route.scopes)}")
        return {"jwt": {"claims": _texts(claims), "scopes": granted if route.scopes else None}}

    async def _claims(self, token: str) -> dict[str, Any]:
        """The claims of a token whose signature, issuer, audience and times are right; else a TokenError."""
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise TokenError(f"the algorithm {header.get('alg')!r} is not among {', '.join(ALGORITHMS)}")
            key = await self._keys.get(str(header.get("kid")))
            issuer = self._settings.issuer.rstrip("/")
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[key.algorithm] if key.algorithm else ALGORITHMS,
                issuer=[issuer, f"{issuer}/"],
                options={"require": ["exp"], "verify_aud": False, "verify_sub": False, "verify_jti": False},
            )
        except (jwt.PyJWTError, KeysError, UnicodeError, RecursionError) as error:
            raise TokenError(str(error)) from None
        self._check_audience(claims)
        return claims

    def _check_audience(self, claims: dict[str, Any]) -> None:
        """Not PyJWT's check: API Gateway looks at `client_id` where a token has no `aud`."""
        audience = claims.get("aud", claims.get("client_id"))
        audiences = audience if isinstance(audience, list) else [audience]
        if not any(one in self._settings.audience for one in audiences):
            raise TokenError("the token is for another audience")


def _texts(claims: dict[str, Any]) -> dict[str, str]:
    """Claims as the gateway hands them on: every one a string, lists in square brackets."""
    return {name: _text(value) for name, value in claims.items()}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{' '.join(map(_text, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _scopes(claims: dict[str, Any]) -> list[str]:
    """What the token allows: `scope` (text or list) or `scp`."""
    found = claims.get("scope", claims.get("scp", ""))
    return list(map(str, found)) if isinstance(found, list) else str(found).split()
