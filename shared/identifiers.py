"""Identifiers that the service makes: UUIDs of version 7 (RFC 9562), time-ordered, so that keys grow at their end."""

import os
import re

from shared import clock

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id() -> str:
    """48 bits of milliseconds since 1970, then 74 random bits, in canonical form."""
    value = clock.unix_milliseconds() << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF000 << 64) | 0x7000 << 64  # version 7
    value = value & ~(0xC000 << 48) | 0x8000 << 48  # the RFC's variant
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def canonical(text: str) -> str | None:
    """A UUID in the form that it is stored in; None for a text that is none."""
    if _UUID.fullmatch(text):
        return text
    text = text.lower()
    return text if _UUID.fullmatch(text) else None
