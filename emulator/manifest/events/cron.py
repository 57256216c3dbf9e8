"""Schedule expressions as EventBridge reads them.

There are three: `rate(5 minutes)`, `cron(0 8 ? * MON-FRI *)` and `at(2027-01-01T08:00:00)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from emulator.manifest.events import cron_fields
from emulator.manifest.events.cron_fields import Days, ExpressionError, Weekdays

_RATE = re.compile(r"rate\(([0-9]{1,9}) (minute|hour|day)(s?)\)")
_CRON = re.compile(r"cron\((.+)\)")
_AT = re.compile(r"at\(([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\)")
HORIZON_DAYS = 366 * 8
"""How far ahead to search for the next time. The next 29 February can be eight years away."""

__all__ = ["At", "Cron", "Expression", "ExpressionError", "Rate", "parse"]


class Expression(Protocol):
    """When a schedule is due."""

    def after(self, moment: datetime, zone: tzinfo = UTC) -> datetime | None:
        """The next time after a moment, or None. The clock times of an expression are those of the zone."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A fixed number of minutes, hours or days after the time before."""

    period: timedelta

    def after(self, moment: datetime, zone: tzinfo = UTC) -> datetime | None:
        """The moment plus the period. A rate has no clock times, so the zone is not used."""
        try:
            return moment + self.period
        except OverflowError:
            return None


@dataclass(frozen=True, slots=True)
class At:
    """One time only."""

    time: datetime

    def after(self, moment: datetime, zone: tzinfo = UTC) -> datetime | None:
        """The time if it is after the moment, or None."""
        due = self.time.replace(tzinfo=zone)
        return due if due > moment else None


@dataclass(frozen=True, slots=True)
class Cron:
    """The clock times at which all six fields match."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: Days
    months: frozenset[int]
    weekdays: Weekdays
    years: frozenset[int]

    def after(self, moment: datetime, zone: tzinfo = UTC) -> datetime | None:
        """The next time. A time that the clocks skip is left out, and one that they repeat counts once."""
        local = moment.astimezone(zone).replace(tzinfo=None, fold=0)
        for time in self._times(local.replace(second=0, microsecond=0)):
            due = time.replace(tzinfo=zone)
            if due > moment and due.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == time:
                return due
        return None

    def _times(self, start: datetime) -> Iterator[datetime]:
        """The clock times from `start` on."""
        day = start.replace(hour=0, minute=0)
        for _ in range(HORIZON_DAYS):
            if day.year in self.years and day.month in self.months and self._on(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        time = day.replace(hour=hour, minute=minute)
                        if time >= start:
                            yield time
            try:
                day += timedelta(days=1)
            except OverflowError:
                return

    def _on(self, day: datetime) -> bool:
        return self.days.match(day.date()) and self.weekdays.match(day.date())


def parse(expression: str) -> Expression:
    """Parse an expression; an ExpressionError says what is wrong with it."""
    text = expression.strip()
    if match := _RATE.fullmatch(text):
        count = int(match[1])
        if not count or (count == 1) == bool(match[3]):
            raise ExpressionError(f"{expression}: one minute, or several minutes")
        return Rate(timedelta(**{f"{match[2]}s": count}))
    if match := _AT.fullmatch(text):
        try:
            return At(datetime.fromisoformat(match[1]))
        except ValueError as error:
            raise ExpressionError(f"{expression}: {error}") from None
    match = _CRON.fullmatch(text)
    fields = match[1].split() if match else []
    if len(fields) != 6:
        raise ExpressionError(f"{expression} is neither rate(5 minutes) nor cron(minute hour day month weekday year)")
    if (fields[2] == "?") == (fields[4] == "?"):
        raise ExpressionError(f"{expression}: of day and weekday exactly one must be ?")
    return _cron(fields)


def _cron(fields: list[str]) -> Cron:
    return Cron(
        minutes=cron_fields.numbers(fields[0], 0, 59),
        hours=cron_fields.numbers(fields[1], 0, 23),
        days=cron_fields.days(fields[2]),
        months=cron_fields.numbers(fields[3], 1, 12, cron_fields.MONTHS),
        weekdays=cron_fields.weekdays(fields[4]),
        years=cron_fields.numbers(fields[5], 1970, 2199),
    )
