"""Schedule expressions: `rate(5 minutes)` and `cron(0 8 ? * MON-FRI *)`, as EventBridge reads them, in UTC."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)(s?)\)")
_CRON = re.compile(r"cron\((.+)\)")
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_PART = re.compile(r"(\*|\?|\w+)(?:-(\w+))?(?:/(\d+))?")
HORIZON_DAYS = 366 * 8
"""How far ahead a next time is looked for: 29 February may be eight years away."""


class ExpressionError(Exception):
    """What is wrong with a schedule's expression."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Every so many minutes, hours or days, from the start on."""

    period: timedelta

    def after(self, moment: datetime) -> datetime | None:
        """The next time."""
        return moment + self.period


@dataclass(frozen=True, slots=True)
class Cron:
    """Six fields of allowed numbers."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    years: frozenset[int]
    last_day: bool

    def after(self, moment: datetime) -> datetime | None:
        """The next time, None when there is none."""
        start = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        day = start.replace(hour=0, minute=0)
        for _ in range(HORIZON_DAYS):
            if self._on(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        found = day.replace(hour=hour, minute=minute)
                        if found >= start:
                            return found
            day += timedelta(days=1)
        return None

    def _on(self, day: datetime) -> bool:
        if day.month not in self.months or day.year not in self.years:
            return False
        last = self.last_day and day.day == calendar.monthrange(day.year, day.month)[1]
        return (day.day in self.days or last) and day.isoweekday() % 7 + 1 in self.weekdays


def parse(expression: str) -> Rate | Cron:
    """The meaning of an expression; an ExpressionError says what is wrong with it."""
    if match := _RATE.fullmatch(expression.strip()):
        count = int(match[1])
        if not count or (count == 1) == bool(match[3]):
            raise ExpressionError(f"{expression}: one minute, or several minutes")
        return Rate(timedelta(**{f"{match[2]}s": count}))
    match = _CRON.fullmatch(expression.strip())
    fields = match[1].split() if match else []
    if len(fields) != 6:
        raise ExpressionError(f"{expression} is neither rate(5 minutes) nor cron(minute hour day month weekday year)")
    if (fields[2] == "?") == (fields[4] == "?"):
        raise ExpressionError(f"{expression}: of day and weekday exactly one must be ?")
    return Cron(
        minutes=_numbers(fields[0], 0, 59),
        hours=_numbers(fields[1], 0, 23),
        days=frozenset() if fields[2] == "L" else _numbers(fields[2], 1, 31),
        months=_numbers(fields[3], 1, 12, _MONTHS),
        weekdays=_numbers(fields[4], 1, 7, _DAYS),
        years=_numbers(fields[5], 1970, 2199),
        last_day=fields[2] == "L",
    )


def _numbers(field: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise ExpressionError(f"{part!r} is not understood here")
        if match[1] in ("*", "?"):
            first, last = low, high
        else:
            first = _number(match[1], low, high, names or {})
            last = _number(match[2], low, high, names or {}) if match[2] else (high if match[3] else first)
        found.update(range(first, last + 1, int(match[3] or 1) or 1))
    return frozenset(found)


def _number(text: str, low: int, high: int, names: dict[str, int]) -> int:
    number = names.get(text.upper(), int(text) if text.isdecimal() else -1)
    if not low <= number <= high:
        raise ExpressionError(f"{text!r} is not from {low} to {high}")
    return number
