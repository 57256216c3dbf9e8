"""CORS by the manifest's `httpApi.cors`: answers preflight requests, adds headers to responses."""

from __future__ import annotations

from emulator.gateway.response import Headers, Response
from emulator.manifest.model import Cors


def preflight(cors: Cors, method: str, headers: Headers) -> Response | None:
    """The gateway's own answer to a preflight request, which no function sees; None for any other request."""
    if method != "OPTIONS" or not header(headers, b"access-control-request-method"):
        return None
    origin = header(headers, b"origin")
    if origin is None:
        return None
    answer = Response(204)
    if allowed_origin(cors, origin) is None:
        return answer
    add(cors, origin, answer.headers)
    answer.headers += [
        (b"access-control-allow-methods", ",".join(cors.allowed_methods).encode()),
        (b"access-control-allow-headers", ",".join(cors.allowed_headers).lower().encode()),
    ]
    if cors.max_age is not None:
        answer.headers.append((b"access-control-max-age", str(cors.max_age).encode()))
    return answer


def apply(cors: Cors, request_headers: Headers, response: Response) -> None:
    """Replace the CORS headers of a function's response by the gateway's."""
    response.headers[:] = [item for item in response.headers if not item[0].startswith(b"access-control-")]
    origin = header(request_headers, b"origin")
    if origin is not None:
        add(cors, origin, response.headers)


def add(cors: Cors, origin: bytes, headers: Headers) -> None:
    """Add the headers for an allowed origin; nothing for another one."""
    allowed = allowed_origin(cors, origin)
    if allowed is None:
        return
    headers.append((b"access-control-allow-origin", allowed))
    if cors.allow_credentials:
        headers.append((b"access-control-allow-credentials", b"true"))
    if cors.exposed_headers:
        headers.append((b"access-control-expose-headers", ",".join(cors.exposed_headers).lower().encode()))


def allowed_origin(cors: Cors, origin: bytes) -> bytes | None:
    """The value of Access-Control-Allow-Origin for this origin, None where it is not allowed."""
    if "*" in cors.allowed_origins:
        return b"*"
    for pattern in cors.allowed_origins:
        scheme, star, rest = pattern.partition("*")
        text = origin.decode("latin-1")
        if text == pattern or (star and text.startswith(scheme) and text.endswith(rest)):
            return origin
    return None


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first header of this (lowercase) name."""
    return next((value for key, value in headers if key == name), None)
