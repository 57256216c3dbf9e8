"""Retries after a transient failure: how long to wait, and until when."""

import random
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from shared import clock
from shared.errors import DatabaseError

T = TypeVar("T")


def backoff(attempts: int) -> float:
    """Seconds to wait before the next attempt: 0 after the first, then twice as long each time, at random, up to 1."""
    if attempts == 1:
        return 0.0
    return min(1.0, 0.01 * 2.0 ** (attempts - 2)) * random.uniform(0.5, 1.0)  # noqa: S311


def persist(attempt: Callable[[], T], deadline: float) -> T:
    """The result of `attempt()`, repeated after transient failures while the next one starts before `deadline`."""
    for number in count(1):
        try:
            return attempt()
        except DatabaseError as failure:
            pause = backoff(number)
            if not failure.transient or clock.elapsed() + pause >= deadline:
                raise
            time.sleep(pause)
    raise AssertionError("unreachable")
