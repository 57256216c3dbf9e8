"""Pages of a list: cursors that belong to one query, and a page's size in bytes.

A cursor is base64url of JSON: a digest of the query that it belongs to, then the key of the last row of
the page. It has nothing that the caller has not seen.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from shared.errors import InvalidRequestError

PAGE_BYTES = 6_000_000
"""Lambda's response may have 6,291,556 bytes, with the body in it as an escaped JSON string."""

_ROW_BYTES = 512  # of a row, without its long text
_ESCAPED_BYTES = 12  # of a character in JSON within JSON, at most
_SHORT = 400  # characters; a shorter text is not measured: a thousand such rows always fit

_FOREIGN = "cursor: not one that this service gave"

T = TypeVar("T")
P = TypeVar("P")


def cursor(query: tuple[object, ...], position: object) -> str:
    """A cursor that continues after `position` in the results of `query`."""
    content = msgspec.json.encode([_digest(query), position])
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def position(
    text: str | None, query: tuple[object, ...], kind: type[P], possible: Callable[[P], bool] = lambda _: True
) -> P | None:
    """The position in a cursor made for the same query; None without one. Raises `InvalidRequestError`."""
    if text is None:
        return None
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        content = base64.b64decode(padded, altchars=b"-_", validate=True)
        digest, key = msgspec.json.decode(content, type=tuple[str, kind])  # type: ignore[valid-type]
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequestError(_FOREIGN) from None
    if digest != _digest(query):
        raise InvalidRequestError("cursor: belongs to a list with other filters")
    result: P = key
    if not possible(result):
        raise InvalidRequestError(_FOREIGN)
    return result


def fitting(rows: Iterable[T], weight: Callable[[T], int], limit: int) -> tuple[list[T], bool]:
    """The rows that make one page, at least one where there are any, and whether there are more."""
    page: list[T] = []
    room = PAGE_BYTES
    for row in rows:
        room -= weight(row)
        if len(page) == limit or (page and room < 0):
            return page, True
        page.append(row)
    return page, False


def row_bytes(text: str) -> int:
    """How many bytes a row with this long text takes in a response, at most."""
    characters = len(text)
    return _ROW_BYTES + (characters * _ESCAPED_BYTES if characters < _SHORT else len(json.dumps(text)))


def _digest(query: tuple[object, ...]) -> str:
    return hashlib.sha256(msgspec.json.encode(query)).hexdigest()[:12]
