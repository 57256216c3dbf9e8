"""An identity provider for development: an OpenID issuer whose tokens anybody on this machine may have.

It publishes its configuration and keys as OpenID Connect Discovery 1.0 says, so that JWT authorizers and functions
verify its tokens as they verify a real issuer's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulator.service.clock import Clock

PREFIX = "/_emulator/idp"
AUDIENCE = "emulator"
"""The audience of a token that asks for no other."""

LIFETIME = 8 * 3600
"""Seconds that a token is valid, unless it asks for another time."""

_MAX_KEY_BYTES = 65_536


class KeyFileError(Exception):
    """The file of the private key cannot be used; the text says why."""


class IdentityProvider:
    """One issuer with one key: made at the start, or kept in a file."""

    def __init__(self, url: str, clock: Clock, key_file: Path | None = None) -> None:
        """`url` is the emulator's own address. Raises `KeyFileError`."""
        self._clock = clock
        self.issuer = f"{url}{PREFIX}"
        self._key = _new_key() if key_file is None else _kept_key(key_file)
        described = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self._kid = _thumbprint(described)
        self._published = {**described, "kid": self._kid, "use": "sig", "alg": "RS256"}

    def routes(self) -> list[Route]:
        """Discovery, keys, and tokens for whoever asks."""
        return [
            Route(f"{PREFIX}/.well-known/openid-configuration", self.configuration, methods=["GET"]),
            Route(f"{PREFIX}/keys", self.keys, methods=["GET"]),
            Route(f"{PREFIX}/token", self.token, methods=["GET"]),
        ]

    async def configuration(self, _: Request) -> Response:
        """What verifiers read first."""
        return JSONResponse(
            {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/keys",
                "token_endpoint": f"{self.issuer}/token",
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["token"],
                "subject_types_supported": ["public"],
            }
        )

    async def keys(self, _: Request) -> Response:
        """The public key."""
        return JSONResponse({"keys": [self._published]})

    async def token(self, request: Request) -> Response:
        """A token: `?user=ann&role=student&audience=&seconds=`, the role as often as there are roles."""
        query = request.query_params
        user, seconds = query.get("user", ""), query.get("seconds", str(LIFETIME))
        if not user:
            return JSONResponse({"message": "user is missing: whom is the token for?"}, 400)
        if not seconds.removeprefix("-").isdecimal() or len(seconds) > 10:
            return JSONResponse({"message": "seconds must be a whole number"}, 400)
        now = int(self._clock.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": user,
            "aud": query.get("audience", AUDIENCE),
            "roles": query.getlist("role"),
            "iat": now,
            "exp": now + int(seconds),
        }
        token = jwt.encode(claims, self._key, "RS256", {"kid": self._kid})
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": int(seconds)})


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _kept_key(file: Path) -> rsa.RSAPrivateKey:
    """The key in the file, which is made where it is missing and readable by its owner alone."""
    try:
        if file.exists():
            with file.open("rb") as kept:
                key = serialization.load_pem_private_key(kept.read(_MAX_KEY_BYTES), None)
        else:
            key = _new_key()
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
                made.write(_pem(key))
    except (OSError, ValueError, TypeError) as error:
        raise KeyFileError(f"{file}: {getattr(error, 'strerror', None) or 'not a private key in PEM'}") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyFileError(f"{file}: not an RSA key")
    return key


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _thumbprint(described: dict[str, Any]) -> str:
    """RFC 7638's name of an RSA key: a kept key keeps its name."""
    named = {name: described[name] for name in ("e", "kty", "n")}
    digest = hashlib.sha256(json.dumps(named, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
