"""JWT authorizers: who calls is said by a JSON Web Token."""

from __future__ import annotations

from typing import Any

from emulator.gateway.authorization import claim_texts, tokens
from emulator.gateway.authorization.issuer_keys import IssuerKeys
from emulator.gateway.authorization.verdicts import Caller, Verdict, forbidden, identity_value, unauthorized
from emulator.gateway.call import Call
from emulator.manifest.model import JwtAuthorizer
from emulator.service.clock import Clock


class TokenAuthorizer:
    """Checks the token of a request against one JWT authorizer of the manifest."""

    def __init__(self, settings: JwtAuthorizer, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._keys = IssuerKeys(settings.issuer)

    async def ask(self, call: Call) -> Verdict:
        """The verdict about one request."""
        found = identity_value(self._settings.identity_source[0], call.v2())
        if not found:
            return unauthorized("no token", "Bearer")
        try:
            claims = await self._claims(tokens.without_scheme(found))
        except tokens.TokenError as error:
            description = "".join(char for char in str(error) if char.isprintable() and char not in '"\\')
            return unauthorized(str(error), f'Bearer scope="" error="invalid_token" error_description="{description}"')
        wanted, granted = call.route.scopes, tokens.granted_scopes(claims)
        if wanted and not set(wanted) & set(granted):
            return forbidden(f"none of the scopes {', '.join(wanted)}")
        texts = claim_texts.of_http_api(claims)
        return Caller("jwt", {"claims": texts, "scopes": granted if wanted else None})

    async def _claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that is right; else a TokenError."""
        issuer = self._settings.issuer.rstrip("/")
        claims = await tokens.checked_claims(token, self._keys, [issuer, f"{issuer}/"], self._clock)
        self._check_audience(claims)
        return claims

    def _check_audience(self, claims: dict[str, Any]) -> None:
        """Not PyJWT's check: API Gateway looks at `client_id` where a token has no `aud`."""
        audience = claims.get("aud", claims.get("client_id"))
        audiences = audience if isinstance(audience, list) else [audience]
        if not any(one in self._settings.audience for one in audiences):
            raise tokens.TokenError("the token is for another audience")
