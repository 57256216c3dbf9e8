"""The authorizers of a manifest, ready to be asked."""

from __future__ import annotations

from emulator.gateway.iam_authorizer import IamAuthorizer
from emulator.gateway.lambda_authorizer import LambdaAuthorizer
from emulator.gateway.unavailable_authorizer import UnavailableAuthorizer
from emulator.gateway.verdicts import Authorizer
from emulator.manifest import model
from emulator.manifest.model import Manifest
from emulator.service.functions import Functions


def of_manifest(manifest: Manifest, functions: Functions) -> dict[str, Authorizer]:
    """Every authorizer by its name in the manifest."""
    return {name: _made(settings, manifest, functions) for name, settings in manifest.authorizers.items()}


def _made(settings: model.Authorizer, manifest: Manifest, functions: Functions) -> Authorizer:
    if isinstance(settings, model.JwtAuthorizer):
        from emulator.gateway.jwt_authorizer import TokenAuthorizer  # see there why only now

        return TokenAuthorizer(settings)
    if isinstance(settings, model.RequestAuthorizer):
        return LambdaAuthorizer(settings, functions, manifest.region)
    if isinstance(settings, model.IamAuthorizer):
        return IamAuthorizer()
    return UnavailableAuthorizer(settings.reason)
