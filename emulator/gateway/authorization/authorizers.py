"""The authorizers of a manifest, ready to be asked."""

from __future__ import annotations

from typing import Protocol

from emulator.gateway.authorization.iam_authorizer import IamAuthorizer
from emulator.gateway.authorization.lambda_authorizer import LambdaAuthorizer
from emulator.gateway.authorization.rest_lambda_authorizer import RestLambdaAuthorizer
from emulator.gateway.authorization.unavailable_authorizer import UnavailableAuthorizer
from emulator.gateway.authorization.verdicts import Verdict
from emulator.gateway.call import Call
from emulator.manifest import model
from emulator.manifest.model import Manifest
from emulator.service.functions import Functions


class Authorizer(Protocol):
    """Decides who may call the routes that name it."""

    async def ask(self, call: Call) -> Verdict:
        """The verdict about one request."""


def of_manifest(manifest: Manifest, functions: Functions) -> dict[str, Authorizer]:
    """Every authorizer by its name in the manifest."""
    return {name: _made(settings, manifest, functions) for name, settings in manifest.authorizers.items()}


def _made(settings: model.Authorizer, manifest: Manifest, functions: Functions) -> Authorizer:
    if isinstance(settings, model.JwtAuthorizer):
        from emulator.gateway.authorization.jwt_authorizer import (
            TokenAuthorizer,  # see emulator.gateway.authorization.tokens why only now
        )

        return TokenAuthorizer(settings, functions.clock)
    if isinstance(settings, model.CognitoAuthorizer):
        from emulator.gateway.authorization.cognito_authorizer import CognitoAuthorizer  # likewise

        return CognitoAuthorizer(settings, functions.clock)
    if isinstance(settings, model.RequestAuthorizer):
        return LambdaAuthorizer(settings, functions, manifest.region)
    if isinstance(settings, model.RestAuthorizer):
        return RestLambdaAuthorizer(settings, functions, manifest.region)
    if isinstance(settings, model.IamAuthorizer):
        return IamAuthorizer()
    return UnavailableAuthorizer(settings.reason)
