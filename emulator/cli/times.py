"""Times and durations, as a person writes them on the command line."""

from __future__ import annotations

import re
from datetime import datetime

from emulator.cli import options
from emulator.service import clock

_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment(name: str, text: str) -> datetime:
    """The moment of a text such as `2026-11-22T08:00Z`; anything else ends the command, with the option's name."""
    try:
        return clock.parsed(text)
    except clock.ClockError as error:
        options.refuse(f"{name}: {error}")


def seconds(text: str) -> float:
    """The duration of a text such as `45m`, `1h30m` or `2d`; anything else ends the command."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        options.refuse(f"{text!r} is no duration such as 45m, 90s, 1h30m or 2d")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def distance(seconds: float) -> str:
    """How far a clock is from the system's, in its two largest units."""
    left = round(abs(seconds))
    parts: list[str] = []
    for unit in "dhms":
        count, left = divmod(left, _SECONDS[unit])
        if count and len(parts) < 2:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
