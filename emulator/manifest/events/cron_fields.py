"""The fields of a cron expression: numbers, names, ranges, steps, and AWS's `L`, `W`, `LW` and `#`."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass, field
from datetime import date, timedelta

MONTHS = {name: number for number, name in enumerate("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)}  # noqa: SIM905
WEEKDAYS = {name: number for number, name in enumerate("SUN MON TUE WED THU FRI SAT".split(), 1)}  # noqa: SIM905
_PART = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/([0-9]{1,4}))?")
_NEAREST = re.compile(r"([0-9]{1,2})W")
_LAST_WEEKDAY = re.compile(r"(\w+)L")
_NTH_WEEKDAY = re.compile(r"(\w+)#([1-5])")
SATURDAY, SUNDAY = 5, 6
"""As `date.weekday()` counts."""


class ExpressionError(Exception):
    """What is wrong with a schedule's expression."""


@dataclass(frozen=True, slots=True)
class Days:
    """Days of a month."""

    numbers: frozenset[int] = frozenset()
    last: bool = False
    """`L`: the last day of the month."""
    last_workday: bool = False
    """`LW`: the last Monday to Friday of the month."""
    nearest: frozenset[int] = frozenset()
    """`15W`: the Monday to Friday nearest to the 15th, in the same month."""

    def match(self, day: date) -> bool:
        """Whether a day is one of them."""
        last = calendar.monthrange(day.year, day.month)[1]
        if day.day in self.numbers or (self.last and day.day == last):
            return True
        wanted = {min(number, last) for number in self.nearest} | ({last} if self.last_workday else set())
        return any(day == _workday(day.replace(day=number), last) for number in wanted)


@dataclass(frozen=True, slots=True)
class Weekdays:
    """Days of a week, 1 for Sunday to 7 for Saturday."""

    numbers: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()
    """`6L`: the last Friday of the month."""
    nth: frozenset[tuple[int, int]] = field(default=frozenset())
    """`2#1`: the first Monday of the month."""

    def match(self, day: date) -> bool:
        """Whether a day is one of them."""
        number = day.isoweekday() % 7 + 1
        is_last = day.day + 7 > calendar.monthrange(day.year, day.month)[1]
        return number in self.numbers or (number, (day.day + 6) // 7) in self.nth or (is_last and number in self.last)


def days(text: str) -> Days:
    """The field of the days of a month; `?` is any."""
    if text == "?":
        return Days(frozenset(range(1, 32)))
    parts = text.upper().split(",")
    nearest = {match[1] for part in parts if (match := _NEAREST.fullmatch(part))}
    plain = [part for part in parts if part not in ("L", "LW") and not _NEAREST.fullmatch(part)]
    return Days(
        numbers=numbers(",".join(plain), 1, 31) if plain else frozenset(),
        last="L" in parts,
        last_workday="LW" in parts,
        nearest=frozenset(_number(number, 1, 31, {}) for number in nearest),
    )


def weekdays(text: str) -> Weekdays:
    """The field of the days of a week; `?` is any, a single `L` is Saturday."""
    if text == "?":
        return Weekdays(frozenset(range(1, 8)))
    plain: list[str] = []
    last: set[int] = set()
    nth: set[tuple[int, int]] = set()
    for part in text.upper().split(","):
        if match := _NTH_WEEKDAY.fullmatch(part):
            nth.add((_number(match[1], 1, 7, WEEKDAYS), int(match[2])))
        elif match := _LAST_WEEKDAY.fullmatch(part):
            last.add(_number(match[1], 1, 7, WEEKDAYS))
        else:
            plain.append("7" if part == "L" else part)
    found = numbers(",".join(plain), 1, 7, WEEKDAYS) if plain else frozenset()
    return Weekdays(found, frozenset(last), frozenset(nth))


def numbers(text: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    """A field of numbers or names, with lists, ranges and steps. A range may pass the end, as in FRI-MON."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if not match or match[3] == "0" or (match[1] == "*" and match[2]):
            raise ExpressionError(f"{part!r} is not understood here")
        if match[1] == "*":
            first, last = low, high
        else:
            first = _number(match[1], low, high, names or {})
            last = _number(match[2], low, high, names or {}) if match[2] else (high if match[3] else first)
        length = last - first if first <= last else last - first + high - low + 1
        found.update((first - low + step) % (high - low + 1) + low for step in range(0, length + 1, int(match[3] or 1)))
    return frozenset(found)


def _number(text: str, low: int, high: int, names: dict[str, int]) -> int:
    number = names.get(text.upper(), int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else -1)
    if not low <= number <= high:
        raise ExpressionError(f"{text[:100]!r} is not from {low} to {high}")
    return number


def _workday(day: date, last: int) -> date:
    """The Monday to Friday nearest to a day, in the same month."""
    if day.weekday() == SATURDAY:
        return day - timedelta(days=1) if day.day > 1 else day + timedelta(days=2)
    if day.weekday() == SUNDAY:
        return day + timedelta(days=1) if day.day < last else day - timedelta(days=2)
    return day
