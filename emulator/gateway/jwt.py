"""JSON Web Tokens as an HTTP API's JWT authorizer takes them: RS256, against the issuer's published keys."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import time
import urllib.request
from typing import Any

from emulator.manifest.model import JwtAuthorizer

KEYS_SECONDS = 300.0
RETRY_SECONDS = 5.0
FETCH_SECONDS = 5
# DER of "this is a SHA-256 digest", which stands before the digest inside a signature (RFC 8017, 9.2).
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")

Key = tuple[int, int]


class TokenError(Exception):
    """A token that proves nothing; the text says why, for the console."""


class Keys:
    """One issuer's public keys, fetched when first needed and kept for a while."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer.rstrip("/")
        self._keys: dict[str, Key] = {}
        self._fetched = -KEYS_SECONDS

    async def get(self, identifier: str) -> Key:
        """The key of this id; a key that is not known may be new, so the issuer is asked again, but not too often."""
        age = time.monotonic() - self._fetched
        if age > KEYS_SECONDS or (identifier not in self._keys and age > RETRY_SECONDS):
            try:
                self._keys = await asyncio.to_thread(self._fetch)
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise TokenError(f"the keys of {self.issuer} cannot be fetched: {error}") from None
            self._fetched = time.monotonic()
        if identifier not in self._keys:
            raise TokenError(f"{self.issuer} has no key {identifier!r}")
        return self._keys[identifier]

    def _fetch(self) -> dict[str, Key]:
        settings = _get(f"{self.issuer}/.well-known/openid-configuration")
        keys = _get(settings["jwks_uri"])["keys"]
        return {
            key["kid"]: (_number(key["n"]), _number(key["e"]))
            for key in keys
            if key.get("kty") == "RSA" and key.get("use", "sig") == "sig"
        }


async def verify(token: str, authorizer: JwtAuthorizer, keys: Keys) -> dict[str, Any]:
    """The claims of a token whose signature, issuer, audience and times are right; else a TokenError."""
    try:
        head, body, signature = token.split(".")
        header, claims = json.loads(_bytes(head)), json.loads(_bytes(body))
        signed = _bytes(signature)
    except (ValueError, binascii.Error, UnicodeError, RecursionError):
        raise TokenError("not a JSON Web Token") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise TokenError("not a JSON Web Token")
    if header.get("alg") != "RS256":
        raise TokenError(f"the algorithm {header.get('alg')!r} is not RS256")
    key = await keys.get(str(header.get("kid")))
    if not _signed(f"{head}.{body}".encode(), signed, key):
        raise TokenError("the signature is not the issuer's")
    _check(claims, authorizer, time.time())
    return claims


def _check(claims: dict[str, Any], authorizer: JwtAuthorizer, now: float) -> None:
    if str(claims.get("iss", "")).rstrip("/") != authorizer.issuer.rstrip("/"):
        raise TokenError("another issuer")
    audience = claims.get("aud", claims.get("client_id"))
    audiences = audience if isinstance(audience, list) else [audience]
    if not any(one in authorizer.audience for one in audiences):
        raise TokenError("for another audience")
    for name, early in (("exp", False), ("nbf", True), ("iat", True)):
        moment = claims.get(name)
        if moment is None and name != "exp":
            continue
        if isinstance(moment, bool) or not isinstance(moment, (int, float)):
            raise TokenError(f"{name} is not a time")
        if (moment > now) if early else (moment <= now):
            raise TokenError("not valid yet" if early else "expired")


def texts(claims: dict[str, Any]) -> dict[str, str]:
    """Claims as the gateway hands them on: every one a string, lists in square brackets."""
    return {name: _text(value) for name, value in claims.items()}


def scopes(claims: dict[str, Any]) -> list[str]:
    """What the token allows: `scope` (text or list) or `scp`."""
    found = claims.get("scope", claims.get("scp", ""))
    return list(map(str, found)) if isinstance(found, list) else str(found).split()


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{' '.join(map(_text, value))}]"
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _signed(message: bytes, signature: bytes, key: Key) -> bool:
    """RSASSA-PKCS1-v1_5 with SHA-256: the padding is rebuilt and compared whole, never parsed."""
    modulus, exponent = key
    size = (modulus.bit_length() + 7) // 8
    tail = _DIGEST_INFO + hashlib.sha256(message).digest()
    if len(signature) != size or size < len(tail) + 11:
        return False
    expected = b"\x00\x01" + b"\xff" * (size - len(tail) - 3) + b"\x00" + tail
    number = pow(int.from_bytes(signature, "big"), exponent, modulus)
    return hmac.compare_digest(number.to_bytes(size, "big"), expected)


def _get(url: str) -> Any:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url} is no web address")
    with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as response:  # noqa: S310
        return json.loads(response.read(1_000_000))


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text), "big")
