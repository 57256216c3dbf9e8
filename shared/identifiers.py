"""Identifiers that the service makes: UUIDs of version 7 (RFC 9562), in the order of time: keys grow at their end.

48 bits of milliseconds since 1970, a counter of 26 bits, 48 random bits. The counter goes on as long as the process
lives: of two ids of the same millisecond the later one is greater, also when the clock is frozen (RFC 9562, 6.2).
"""

import itertools
import os
import re
from collections.abc import Iterator

from shared import clock
from shared.copies import in_each_copy

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_LAST_MILLISECOND = 2**48 - 2**20  # in the year 10889; what is left is for the counter's carry
_count = itertools.count(int.from_bytes(os.urandom(3), "big"))  # `next` of it is one step: threads need no lock

_RANDOM_PARTS = 256  # of ids, read from the system at once
_random_parts: Iterator[str] = iter(())  # `next` of it is one step too


def new_id() -> str:
    """An id in canonical form, greater than those that this process made before at the same time.

    A time before 1970 counts as 1970.
    """
    milliseconds = clock.unix_milliseconds()
    if not 0 <= milliseconds <= _LAST_MILLISECOND:
        milliseconds = min(max(milliseconds, 0), _LAST_MILLISECOND)
    value = (milliseconds << 26) + next(_count)  # a counter that overflows adds a millisecond
    version, variant = 0x7000 | value >> 14 & 0xFFF, 0x8000 | value & 0x3FFF
    random = next(_random_parts, None) or _more_random_parts()
    return "%08x-%04x-%x-%x-%s" % (value >> 42, value >> 26 & 0xFFFF, version, variant, random)  # noqa: UP031 - an f-string takes longer


def _more_random_parts() -> str:
    """Read random bytes for the next ids; return the part of the first one."""
    global _random_parts
    digits = os.urandom(6 * _RANDOM_PARTS).hex()
    _random_parts = parts = iter([digits[start : start + 12] for start in range(0, len(digits), 12)])
    return next(parts)


def _drop_random_parts() -> None:
    global _random_parts
    _random_parts = iter(())


in_each_copy(_drop_random_parts)  # otherwise the original would use the same ones


def canonical(text: str) -> str | None:
    """The UUID in lower case, as it is stored; None for a text that is not a UUID."""
    if _UUID.fullmatch(text):
        return text
    text = text.lower()
    return text if _UUID.fullmatch(text) else None
