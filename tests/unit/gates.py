"""Tools to stop threads at known points of a writer: a leader that waits, callers that are queued."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from shared import clock
from shared.engines import Connection
from shared.writer import Writer

WAIT = 10  # seconds; only a broken test waits this long


class Gate:
    """A write that keeps its caller the leader until the gate is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, connection: Connection, repeat: bool) -> None:
        self.entered.set()
        assert self.open.wait(WAIT)


def held(writer: Writer, threads: ThreadPoolExecutor) -> threading.Event:
    """A writer whose leader waits for this event; writes that are queued until then become one batch."""
    gate = Gate()
    threads.submit(writer.write, gate)
    assert gate.entered.wait(WAIT)
    return gate.open


def until(condition: Callable[[], bool]) -> None:
    """Wait for a state that another thread is about to reach."""
    pause, deadline = threading.Event(), clock.elapsed() + WAIT
    while not condition():
        assert clock.elapsed() < deadline, "the awaited state was not reached"
        pause.wait(0.001)
