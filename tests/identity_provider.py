"""An identity provider for tests: real keys, real tokens, a real HTTP server that can be slow, down or lie."""

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from shared import clock

AUDIENCE = "classroom"
SECRET = "a secret of the school's own backend"


@cache
def rsa_key(name: str, bits: int = 2048) -> RSAPrivateKey:
    """A private key; the same one for the same name."""
    return generate_private_key(65537, bits)


def published(name: str, key: RSAPrivateKey, **changes: Any) -> dict[str, Any]:
    """The key as a JWK, as an issuer publishes it."""
    described = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    return {**described, "kid": name, "use": "sig", "alg": "RS256", **changes}


def public_pem(key: RSAPrivateKey) -> bytes:
    """The public key in the text form that a forger would use as a secret."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims of an instructor, changed as asked; None removes one."""
    now = clock.unix_milliseconds() // 1000
    made = {"iss": "school", "sub": "ms_noether", "aud": AUDIENCE, "roles": ["teacher"], "iat": now, "exp": now + 600}
    return {name: value for name, value in (made | changes).items() if value is not None}


def hs256(secret: str = SECRET, headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token of a school's own backend."""
    return jwt.encode(claims(**changes), secret, "HS256", headers)


def unsigned(header: dict[str, Any], payload: str, signature: bytes = b"") -> str:
    """A token of any header and payload text."""
    parts = (json.dumps(header).encode(), payload.encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


class Issuer:
    """An issuer of RS256 tokens on a port of its own. `answer` may be replaced to make it fail."""

    def __init__(self) -> None:
        self.keys = {"first": rsa_key("first")}
        self.asked: list[str] = []
        self.answer: Callable[[str], Any] = self.described
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            """Answers with JSON, or as raw bytes."""

            def do_GET(self) -> None:
                """One document."""
                issuer.asked.append(self.path)
                found = issuer.answer(self.path)
                body = found if isinstance(found, bytes) else json.dumps(found).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # the verifier has given up
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What tokens name as `iss`."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def described(self, path: str) -> Any:
        """Discovery and keys, as they should be."""
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        return {"keys": [published(name, key) for name, key in self.keys.items()]}

    def token(self, kid: str | None = "first", key: RSAPrivateKey | None = None, **changes: Any) -> str:
        """A token that it signed."""
        signing = key or self.keys[kid or "first"]
        headers = {} if kid is None else {"kid": kid}
        return jwt.encode(claims(**{"iss": self.url} | changes), signing, "RS256", headers)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    """An issuer for the length of a with block."""
    issuer = Issuer()
    try:
        yield issuer
    finally:
        issuer.close()
