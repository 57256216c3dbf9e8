"""How a failure that can pass is tried again."""

import random
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from shared import clock
from shared.errors import DatabaseError

T = TypeVar("T")


def backoff(attempts: int) -> float:
    """Seconds before another attempt: none at first, then longer and longer, so that losers do not meet again."""
    if attempts == 1:
        return 0.0
    return min(1.0, 0.01 * 2.0 ** (attempts - 2)) * random.uniform(0.5, 1.0)  # noqa: S311


def persist(attempt: Callable[[], T], deadline: float) -> T:
    """What `attempt` returns; it is made again after a transient failure, until `clock.elapsed()` nears `deadline`."""
    for number in count(1):
        try:
            return attempt()
        except DatabaseError as failure:
            pause = backoff(number)
            if not failure.transient or clock.elapsed() + pause >= deadline:
                raise
            time.sleep(pause)
    raise AssertionError("unreachable")
