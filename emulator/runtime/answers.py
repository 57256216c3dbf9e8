"""A handler's answer as JSON. A large `body` stays beside it, so that nobody escapes and unescapes it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

BESIDE = 8192
"""Characters from which on a body is kept out of the JSON."""
_LONGEST_ESCAPE = 6
"""Bytes of the longest escape of one byte: \\u0000."""


class Answer(NamedTuple):
    """What came of a call: the answer, or with `error` the error object."""

    frame: bytes
    """JSON; with a `body` beside it, null stands in its place."""
    body: bytes = b""
    """The text of the answer's `body` in UTF-8, when it is large."""
    error: str | None = None
    """The text for the log."""


def encoded(result: Any) -> Answer:
    """The answer of a handler; what is not JSON raises."""
    # Bytes are sent unchanged, as Lambda does.
    if isinstance(result, bytes):
        return Answer(result)
    if type(result) is dict and _is_large(result.get("body")) and all(type(key) is str for key in result):
        return Answer(_encode({**result, "body": None}).encode(), result["body"].encode())
    return Answer(_encode(result).encode())


def joined(frame: bytes, body: bytes) -> bytes:
    """The whole answer as JSON."""
    if not body:
        return frame
    return _encode({**json.loads(frame), "body": body.decode()}).encode()


def larger_than(limit: int, answer: Answer) -> bool:
    """Whether the whole answer as JSON has more bytes than that."""
    if len(answer.frame) + len(answer.body) * _LONGEST_ESCAPE <= limit:
        return False
    return len(joined(answer.frame, answer.body)) > limit


def _is_large(body: Any) -> bool:
    return type(body) is str and len(body) >= BESIDE


def _number(value: Any) -> Any:
    """Amazon's runtime client writes a Decimal as a number; by its name, so that its module is not imported here."""
    if type(value).__name__ == "Decimal":
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


# Without escapes, as Amazon's runtime client writes it: a lone surrogate is an error there too.
_encode = json.JSONEncoder(ensure_ascii=False, default=_number).encode
