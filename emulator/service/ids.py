"""Ids in the form of AWS's: random for every request, but not secret."""

from __future__ import annotations

import base64
import random

# Seeded by the system once: a system call for every id would cost more than the rest of a request.
_random = random.Random()  # noqa: S311


def invocation() -> str:
    """Lambda's request id: a random UUID."""
    text = f"{_random.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[ord(text[16]) & 3]}{text[17:20]}-{text[20:]}"


def request() -> str:
    """The gateway's request id: 15 characters of base64 and an equals sign."""
    return base64.urlsafe_b64encode(_random.randbytes(11)).decode()


def trace(epoch: float) -> str:
    """X-Ray's root of a trace."""
    return f"Root=1-{int(epoch):08x}-{_random.getrandbits(96):024x}"
