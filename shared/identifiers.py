"""Identifiers that the service makes: UUIDs of version 7 (RFC 9562), in the order of time: keys grow at their end.

48 bits of milliseconds since 1970, a counter of 26 bits, 48 random bits. The counter goes on as long as the process
lives: of two ids of the same millisecond the later one is greater, also when the clock is frozen (RFC 9562, 6.2).
"""

import itertools
import os
import re

from shared import clock

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_LAST_MILLISECOND = 2**48 - 2**20  # in the year 10889; what is left is for the counter's carry
_count = itertools.count(int.from_bytes(os.urandom(3), "big"))  # `next` of it is one step: threads need no lock


def new_id() -> str:
    """An id in canonical form, greater than those that this process made before at the same time.

    A time before 1970 counts as 1970.
    """
    milliseconds = min(max(clock.unix_milliseconds(), 0), _LAST_MILLISECOND)
    value = (milliseconds << 26) + next(_count)  # a counter that overflows adds a millisecond
    time = f"{value >> 26:012x}"
    version, variant = 0x7000 | value >> 14 & 0xFFF, 0x8000 | value & 0x3FFF
    return f"{time[:8]}-{time[8:]}-{version:x}-{variant:x}-{os.urandom(6).hex()}"


def canonical(text: str) -> str | None:
    """The UUID in lower case, as it is stored; None for a text that is not a UUID."""
    if _UUID.fullmatch(text):
        return text
    text = text.lower()
    return text if _UUID.fullmatch(text) else None
