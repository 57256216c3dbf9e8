"""Whole functions, event to response, in a warm container of this process."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

from shared import environment
from shared.config import variable
from tests.bench.harness import time_each

Event = Mapping[str, Any]


@contextmanager
def warm_container(path: Path, synchronous: str = "NORMAL", **changes: str) -> Iterator[environment.Environment]:
    """A container on this file, with default settings but for the changes; cold before and after."""
    chosen = {"database_url": f"sqlite:///{path}", "synchronous": synchronous, **changes}
    settings = {variable(name): value for name, value in chosen.items()}
    with patch.dict(os.environ, settings):
        environment.reset()
        try:
            yield environment.current()
        finally:
            environment.reset()


def invoking(name: str) -> Callable[[Event], None]:
    """A function that hands events to a handler and insists on success."""
    handler = import_module(f"functions.{name}").handler

    def invoke(event: Event) -> None:
        answer = handler(event, None)
        assert answer["statusCode"] < 300, answer

    return invoke


def time_handler(path: Path, name: str, events: Iterator[Event], calls: int, warm_up: int = 1, **changes: str) -> float:
    """Seconds that one call takes in a container on this file, after so many calls that do not count."""
    invoke = invoking(name)
    with warm_container(path, **changes):
        for event in islice(events, warm_up):
            invoke(event)
        return time_each(lambda: invoke(next(events)), calls)
