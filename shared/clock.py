"""The only clock reads, and the one time format: RFC 3339, UTC, `Z`, always six fractional digits.

The format is of fixed width, so text order is time order; timestamps are kept and compared in it.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_second = (0, "1970-01-01T00:00:00")  # the second of the last `now`, and its text


def now() -> str:
    """The wall clock, as the service writes it: `2026-11-22T07:24:11.000000Z`."""
    global _second
    microseconds = round(time.time() * 1_000_000)
    second, text = _second  # both in one step, while another thread may set them
    if second != microseconds // 1_000_000:
        second = microseconds // 1_000_000
        text = datetime.fromtimestamp(second, UTC).isoformat().removesuffix("+00:00")
        _second = (second, text)
    return "%s.%06dZ" % (text, microseconds - 1_000_000 * second)  # noqa: UP031 - an f-string takes longer


def ago(age: timedelta) -> str:
    """The wall clock's time `age` before now, in the same format."""
    return render(datetime.now(UTC) - age)


def render(moment: datetime) -> str:
    """An aware datetime in the service's format."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def seconds_since(moment: str) -> float:
    """Seconds of the wall clock since a moment in the service's format."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


def is_rendered(text: str) -> bool:
    """Whether a text is a moment in the service's format."""
    try:
        return render(datetime.fromisoformat(text)) == text
    except (ValueError, OverflowError):
        return False


def unix_milliseconds() -> int:
    """Whole milliseconds since 1970, negative before."""
    return int(time.time() * 1000)


def elapsed() -> float:
    """Seconds on a clock that only goes forward, for deadlines and durations.

    Read through `clock_gettime`, so that a test which freezes the wall clock does not stop deadlines too.
    """
    return time.clock_gettime(time.CLOCK_MONOTONIC)


class Moment(NamedTuple):
    """A moment on two clocks: the first never steps back, the second goes on while a container is frozen."""

    elapsed: float
    unix_milliseconds: int

    @classmethod
    def now(cls) -> "Moment":
        """This moment."""
        return cls(elapsed(), unix_milliseconds())

    def age(self) -> int:
        """Whole milliseconds since then, rounded up, by the clock that counts more."""
        rounded_up = -int(1000 * (self.elapsed - elapsed()) // 1)
        return max(rounded_up, unix_milliseconds() - self.unix_milliseconds)
