"""The body of a replay: what is to be different from the recorded request."""

from __future__ import annotations

import base64
import binascii

import msgspec

from emulator.gateway.replay import Changes
from emulator.server import request_views
from emulator.server.queries import RefusedError
from emulator.server.secrets import MASK, is_secret_header
from emulator.service.request_book import Record


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    method: str | None = None
    path: str | None = None
    headers: list[tuple[str, str]] | None = None
    body: str | None = None
    base64: bool = False
    """Whether `body` is in base64."""


def read(content: bytes, record: Record) -> Changes:
    """The changes that a JSON object describes; no content, no changes. A value that was shown masked is kept."""
    if not content:
        return Changes()
    try:
        given = msgspec.json.decode(content, type=_Body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RefusedError(f"the changes: {error}") from None
    path = None if given.path == request_views.summary(record)["path"] else given.path
    if path is not None and MASK in path:
        raise RefusedError(f"the path has a masked value, {MASK}: ask for the request with secrets=1")
    headers = None if given.headers is None else _unmasked(given.headers, record)
    return Changes(given.method, path, headers, _body(given))


def _body(given: _Body) -> bytes | None:
    if given.body is None or not given.base64:
        return None if given.body is None else given.body.encode()
    try:
        return base64.b64decode(given.body, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError("the body is not base64, though base64 says so") from None


def _unmasked(given: list[tuple[str, str]], record: Record) -> list[tuple[str, str]]:
    """Headers in which a masked value is again what it was, the first for the first of its name, and so on."""
    kept = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in record.headers]
    found = []
    for name, value in given:
        place = next((at for at, (known, _) in enumerate(kept) if known == name.lower()), None)
        former = kept.pop(place)[1] if place is not None else None
        if value == MASK and is_secret_header(name):
            if former is None:
                raise RefusedError(f"the header {name!r} is masked, and the recorded request has none")
            value = former
        found.append((name, value))
    return found
