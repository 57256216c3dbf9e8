"""An issuer's public keys: discovered, fetched and kept (OpenID Connect Discovery 1.0, RFC 7517)."""

import json
import logging
import threading
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

from shared import clock
from shared.errors import IdentityUnavailableError

log = logging.getLogger(__name__)

_KEEP = 3600.0  # seconds that keys are used before they are fetched again
_ASK_AGAIN = 60.0  # seconds before an issuer is asked again while keys of it are known
_RETRY = 5.0  # seconds before an issuer is asked again of which no key is known yet
_FETCH = 1.5  # seconds that a caller waits for an issuer, so that the answer comes within two
_MAX_BYTES = 1_000_000
_MIN_BITS = 2048
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

Keys = Mapping[str, PyJWK]
"""RSA keys for RS256, by their `kid`."""


class IssuerKeys:
    """The keys of one issuer. Keys that are known go on being used when the issuer cannot be reached."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._lock = threading.Lock()
        self._keys: Keys = {}
        self._fetched: float | None = None  # on `clock.elapsed`
        self._asked: float | None = None
        self._reached = True

    def get(self, kid: str) -> PyJWK | None:
        """The key of this id; None when the issuer has no such key.

        Raises `IdentityUnavailableError` when the issuer cannot be asked, within two seconds.
        """
        with self._lock:
            if self._fetched is None or clock.elapsed() - self._fetched > _KEEP or kid not in self._keys:
                self._ask()
            key = self._keys.get(kid)
        if key is None and not self._reached:
            raise IdentityUnavailableError
        return key

    def _ask(self) -> None:
        """Fetch the keys, unless the issuer was asked a short time ago."""
        now = clock.elapsed()
        if self._asked is not None and now - self._asked < (_ASK_AGAIN if self._keys else _RETRY):
            return
        self._asked = now
        try:
            self._keys = _in_time(self._issuer)
            self._fetched, self._reached = now, True
        except (OSError, HTTPException, ValueError, TypeError, KeyError, RecursionError) as error:
            self._reached = False
            log.warning("the keys of an issuer cannot be fetched: %s: %s", type(error).__name__, error)


def _in_time(issuer: str) -> Keys:
    """The issuer's keys, or TimeoutError: a slow issuer may send a byte now and then for ever."""
    found: list[Keys | Exception] = []

    def fetch() -> None:
        try:
            found.append(_fetch(issuer))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(_FETCH)
    if not found:
        raise TimeoutError(f"no answer within {_FETCH:g} seconds")
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def _fetch(issuer: str) -> Keys:
    described = _json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if described["issuer"] != issuer:
        raise ValueError("the configuration is that of another issuer")
    return {kid: key for one in _json(described["jwks_uri"])["keys"] if (kid := _kid(one)) and (key := _key(one))}


def _kid(described: Any) -> str | None:
    kid = described.get("kid") if isinstance(described, dict) else None
    return kid if isinstance(kid, str) else None


def _key(described: dict[str, Any]) -> PyJWK | None:
    """An RSA key that signs RS256; None for every other key, which is no fault of the issuer."""
    if (
        described.get("kty") != "RSA"
        or described.get("use", "sig") != "sig"
        or described.get("alg", "RS256") != "RS256"
    ):
        return None
    try:
        key = PyJWK(described, "RS256")
    except PyJWTError:
        return None
    return key if isinstance(key.key, RSAPublicKey) and key.key.key_size >= _MIN_BITS else None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keys come from the address that was configured, from no other."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none: the redirect is an error."""


_opener = urllib.request.build_opener(_NoRedirect)


def _json(url: Any) -> Any:
    if not isinstance(url, str):
        raise TypeError("an address that is no text")
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("keys are fetched over https only")
    with _opener.open(url, timeout=_FETCH) as response:
        body = response.read(_MAX_BYTES + 1)
    if len(body) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes")
    return json.loads(body)
