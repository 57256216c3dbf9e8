"""Tokens verified: signature, issuer, audience and times. PyJWT does the cryptography; only `functions.authorize`
and the command line import this module, so no other function pays for it.

Two kinds are accepted. RS256, signed by an issuer of `SWITCHBOARD_ISSUERS` with a key that it publishes. HS256, signed
with one of `SWITCHBOARD_TOKEN_SECRETS` by a school's own backend. The kind of key fixes the algorithm: a published
key never verifies HS256, a secret never RS256.
"""

import base64
import binascii
import json
import threading
from typing import Any
from urllib.parse import urlsplit

import jwt

from shared import clock
from shared.config import Settings, listed, variable
from shared.errors import ConfigurationError
from shared.identity.claims import Claims
from shared.identity.issuer_keys import IssuerKeys

MAX_TOKEN_BYTES = 8192
LEEWAY = 60
"""Seconds that the clocks of issuer and service may differ, for `nbf` and `iat`."""

_MAX_TIME = 2**53
_MIN_SECRET_BYTES = 32  # RFC 7518, 3.2
_OPTIONS: Any = {"verify_aud": False, "verify_sub": False, "verify_jti": False, "enforce_minimum_key_length": True}


class TokenError(Exception):
    """A token that proves nothing. The text says why, and quotes nothing of the token."""


class Verifier:
    """Verifies tokens as the settings say. Safe for any number of threads."""

    def __init__(self, settings: Settings) -> None:
        """Raises `ConfigurationError` for settings that would accept nothing, or too much."""
        self._issuers = listed(settings.issuers)
        self._audiences = frozenset(listed(settings.audiences))
        self._secrets = listed(settings.token_secrets)
        self._keys = {issuer: IssuerKeys(issuer) for issuer in self._issuers}
        if not self._issuers and not self._secrets:
            raise ConfigurationError(f"{variable('issuers')} or {variable('token_secrets')} must be set")
        if any(urlsplit(issuer).scheme for issuer in self._issuers) and not self._audiences:
            raise ConfigurationError(f"{variable('audiences')} must be set: tokens for other services would pass")
        if any(len(secret.encode()) < _MIN_SECRET_BYTES for secret in self._secrets):
            raise ConfigurationError(f"{variable('token_secrets')}: each must have at least {_MIN_SECRET_BYTES} bytes")

    def claims(self, token: str) -> Claims:
        """The claims of a token that is good. Raises `TokenError`, `IdentityUnavailableError`."""
        header, payload = _read(token)
        if "crit" in header or "b64" in header:
            raise TokenError("a header parameter that is not supported")
        _check_times(payload)
        for algorithm, key in self._candidates(header, payload):
            try:
                claims = jwt.decode(token, key, [algorithm], options=_OPTIONS, leeway=LEEWAY)
            except jwt.InvalidSignatureError:
                continue
            except jwt.PyJWTError as error:
                raise TokenError(_REASONS.get(type(error), "malformed")) from None
            self._check(claims)
            return claims
        raise TokenError("the signature is not by an accepted key")

    def _candidates(self, header: Claims, payload: Claims) -> list[tuple[str, Any]]:
        """The keys that may have signed this token, each with the only algorithm that it is used for."""
        algorithm = header.get("alg")
        if algorithm == "HS256" and self._secrets:
            return [("HS256", secret) for secret in self._secrets]
        if algorithm != "RS256" or not self._issuers:
            raise TokenError("an algorithm that is not accepted")
        keys, kid = self._keys.get(_text(payload.get("iss"))), header.get("kid")
        if keys is None:
            raise TokenError("an issuer that is not accepted")
        if not isinstance(kid, str):
            raise TokenError("no key id")
        key = keys.get(kid)
        if key is None:
            raise TokenError("a key that its issuer does not publish")
        return [("RS256", key)]

    def _check(self, claims: Claims) -> None:
        """What PyJWT leaves to us: no leeway for `exp`, the issuer of HS256 tokens, the client id as an audience."""
        if claims["exp"] <= clock.unix_milliseconds() / 1000:
            raise TokenError("expired")
        if self._issuers and _text(claims.get("iss")) not in self._keys:
            raise TokenError("an issuer that is not accepted")
        audience = claims.get("aud", claims.get("client_id"))
        named = audience if isinstance(audience, list) else [audience]
        if self._audiences and not any(isinstance(one, str) and one in self._audiences for one in named):
            raise TokenError("for another audience")


def unverified(token: str) -> Claims:
    """What a token says, believed by nobody: to explain it. Raises `TokenError`."""
    return _read(token)[1]


def _read(token: str) -> tuple[Claims, Claims]:
    """Header and payload of a token."""
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenError(f"longer than {MAX_TOKEN_BYTES} bytes")
    if not token.isascii():
        raise TokenError("characters that no token has")
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenError("not a signed token of three parts")
    return _object(parts[0], "header"), _object(parts[1], "payload")


_REASONS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "expired",
    jwt.ImmatureSignatureError: "not valid yet",
}


def _check_times(payload: Claims) -> None:
    """`exp` is there, and every time is a number: 1e999 and true are none."""
    for name in ("exp", "nbf", "iat"):
        value = payload.get(name, 0 if name != "exp" else None)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MAX_TIME:
            raise TokenError(f"{name} is missing or no time")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _object(segment: str, noun: str) -> Claims:
    """One segment as a JSON object without duplicate names: readers differ in which of two they take."""
    try:
        text = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
        value = json.loads(text, object_pairs_hook=_unique)
    except (binascii.Error, ValueError, RecursionError):
        raise TokenError(f"a {noun} that is no JSON object, or names something twice") from None
    if not isinstance(value, dict):
        raise TokenError(f"a {noun} that is no JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> Claims:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError
    return value


_lock = threading.Lock()
_verifier: tuple[Settings, Verifier] | None = None


def verifier(settings: Settings) -> Verifier:
    """The execution environment's verifier, with the keys that it has fetched; a new one for other settings."""
    global _verifier
    with _lock:
        if _verifier is None or _verifier[0] != settings:
            _verifier = (settings, Verifier(settings))
        return _verifier[1]
