"""Dates and ages of the command line."""

import argparse
import re
from datetime import UTC, datetime, timedelta

from shared import clock

_AGE = re.compile(r"([0-9]{1,7})d")
_FORMS = "400d (days ago), 2026-01-31 (midnight UTC), or 2026-01-31T08:00:00+01:00"


def moment(text: str) -> str:
    """The time that an option names, in the service's format. Raises `ArgumentTypeError`."""
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            return days_ago(int(age[1]))
        found = datetime.fromisoformat(text)
        return clock.render(found if found.tzinfo else found.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!a} is neither an age nor a date: {_FORMS}") from None


def days_ago(days: int) -> str:
    """The time so many days before now. Raises `OverflowError` for more than there were."""
    return clock.ago(timedelta(days=days))
