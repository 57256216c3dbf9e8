"""Cognito user pools as authorizers of a REST API: who calls is said by a token of the pool."""

from __future__ import annotations

import os
import re
from typing import Any

from emulator.gateway.authorization import claim_texts, tokens
from emulator.gateway.authorization.issuer_keys import IssuerKeys
from emulator.gateway.authorization.verdicts import Caller, Verdict
from emulator.gateway.call import Call
from emulator.gateway.rest import rest_errors, rest_identity
from emulator.manifest import model
from emulator.service.clock import Clock

ENDPOINT = "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER"
"""The variable that names another server to ask for a pool's keys, as for the AWS SDKs: an emulator of Cognito."""


class CognitoAuthorizer:
    """Checks tokens against one user pool.

    A route without scopes takes the pool's identity tokens, a route with scopes its access tokens, as on AWS.
    """

    def __init__(self, settings: model.CognitoAuthorizer, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        pool = f"https://cognito-idp.{settings.region}.amazonaws.com/{settings.pool}"
        local = os.environ.get(ENDPOINT)
        asked = f"{local.rstrip('/')}/{settings.pool}" if local else pool
        self._issuers = sorted({pool, asked})
        self._keys = IssuerKeys(asked, f"{asked}/.well-known/jwks.json")

    async def ask(self, call: Call) -> Verdict:
        """The verdict about one request."""
        found = rest_identity.value(self._settings.identity_source, call.event)
        if not found:
            return rest_errors.unauthorized("no token")
        try:
            token = tokens.without_scheme(found)
            claims = await tokens.checked_claims(token, self._keys, self._issuers, self._clock)
            self._check(claims, call.route.scopes)
        except tokens.ExpiredError:
            return rest_errors.unauthorized("the token has expired", "The incoming token has expired")
        except tokens.TokenError as error:
            return rest_errors.unauthorized(str(error))
        return Caller("claims", {"claims": claim_texts.of_rest_api(claims)})

    def _check(self, claims: dict[str, Any], scopes: tuple[str, ...]) -> None:
        """A TokenError for a token of the wrong use, audience or scopes."""
        use = "access" if scopes else "id"
        if claims.get("token_use") != use:
            raise tokens.TokenError(f"token_use is {claims.get('token_use')!r}; this route takes {use!r}")
        if scopes and not set(scopes) & set(tokens.granted_scopes(claims)):
            raise tokens.TokenError(f"none of the scopes {', '.join(scopes)}")
        expression = self._settings.validation
        if expression is not None and not re.fullmatch(expression, str(claims.get("aud", ""))):
            raise tokens.TokenError("the token's aud does not match identityValidationExpression")
