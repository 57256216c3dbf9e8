"""The authorizers of a manifest, ready to be asked."""

from __future__ import annotations

from emulator.gateway.lambda_authorizer import LambdaAuthorizer
from emulator.gateway.verdicts import Authorizer
from emulator.manifest.model import JwtAuthorizer, Manifest
from emulator.service.functions import Functions


def of_manifest(manifest: Manifest, functions: Functions) -> dict[str, Authorizer]:
    """Every authorizer by its name in the manifest."""
    made: dict[str, Authorizer] = {}
    for name, settings in manifest.authorizers.items():
        if isinstance(settings, JwtAuthorizer):
            from emulator.gateway.jwt_authorizer import TokenAuthorizer  # see there why only now

            made[name] = TokenAuthorizer(settings)
        else:
            made[name] = LambdaAuthorizer(settings, functions, manifest.region)
    return made
