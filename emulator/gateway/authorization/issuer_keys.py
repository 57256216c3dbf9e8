"""The public keys that an issuer of tokens publishes (OpenID Connect Discovery, RFC 7517)."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm
from jwt.exceptions import PyJWTError

KEYS_SECONDS = 300.0
RETRY_SECONDS = 5.0
FETCH_SECONDS = 5
MAX_BYTES = 1_000_000


class KeysError(Exception):
    """A key that is not to be had; the text says why, for the console."""


@dataclass(frozen=True, slots=True)
class Key:
    """An RSA key."""

    public: RSAPublicKey
    algorithm: str | None
    """The only algorithm that it is for; None when its issuer does not say."""


class IssuerKeys:
    """One issuer's RSA keys, fetched when first needed and kept for five minutes.

    A key that is not known may be new: the issuer is then asked again, but not within five seconds.
    """

    def __init__(self, issuer: str, address: str | None = None) -> None:
        """`address` is where the keys are; without one, the issuer's discovery document says it."""
        self._issuer = issuer.rstrip("/")
        self._address = address
        self._keys: dict[str, Key] = {}
        self._fetched = -KEYS_SECONDS
        self._fetching = asyncio.Lock()

    async def get(self, identifier: str) -> Key:
        """The key of this id (`kid`); a KeysError when there is none, or the issuer does not answer."""
        async with self._fetching:
            age = time.monotonic() - self._fetched
            if age > KEYS_SECONDS or (identifier not in self._keys and age > RETRY_SECONDS):
                self._keys = await self._fetch()
                self._fetched = time.monotonic()
        if identifier not in self._keys:
            raise KeysError(f"{self._issuer} has no key {identifier!r}")
        return self._keys[identifier]

    async def _fetch(self) -> dict[str, Key]:
        try:
            found = await asyncio.to_thread(_published, self._issuer, self._address)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, http.client.HTTPException) as error:
            raise KeysError(f"the keys of {self._issuer} cannot be fetched: {error}") from None
        return dict(pair for one in found if (pair := _key(one)))


def _published(issuer: str, address: str | None) -> list[Any]:
    if address is None:
        address = _get(f"{issuer}/.well-known/openid-configuration")["jwks_uri"]
    return list(_get(address)["keys"])


def _key(published: Any) -> tuple[str, Key] | None:
    """A key and its id; None for one without an id, of another kind, or malformed: the others still count."""
    if not isinstance(published, dict) or not isinstance(published.get("kid"), str):
        return None
    if published.get("kty") != "RSA" or published.get("use", "sig") != "sig":
        return None
    public = {name: published.get(name) for name in ("kty", "n", "e")}
    try:
        key = RSAAlgorithm.from_jwk(public)
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return (published["kid"], Key(key, published.get("alg"))) if isinstance(key, RSAPublicKey) else None


def _get(url: Any) -> Any:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise ValueError(f"{url} is no web address")
    with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as response:  # noqa: S310
        return json.loads(response.read(MAX_BYTES))
