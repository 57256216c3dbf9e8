"""Sending frames to connections: in order to each, side by side to different ones, and what to do on failure."""

import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TypeVar

from shared import clock
from shared.live.ports import Connections, GoneError, OutcomeUnknownError, PlatformError, UnavailableError
from shared.writes import LEASE

log = logging.getLogger(__name__)

HANDSHAKE = 2.0
"""Seconds after the start of a new connection's replay in which an unknown connection is one that is not open yet."""

_THREADS = 16
_HANDSHAKE_PAUSE = 0.02  # seconds
_RENEW_AFTER = int(LEASE.total_seconds() * 1000 / 3)  # milliseconds

T = TypeVar("T")
R = TypeVar("R")


class Sent(Enum):
    """What became of a frame."""

    SENT = "the connection has it"
    GONE = "the connection is closed"
    BEHIND = "the connection cannot be reached now, and does not have it"
    UNKNOWN = "no answer came: the connection may have it"


class LeaseLostError(Exception):
    """Somebody else has taken the lease, because this holder was too slow: it must not send any more."""


class Keeper:
    """Renews a lease in time while frames are sent. Any number of threads may use it."""

    def __init__(self, renew: Callable[[], bool]) -> None:
        """`renew` returns False when the lease is lost."""
        self._renew = renew
        self._since = clock.Moment.now()

    def renewed(self, since: clock.Moment) -> None:
        """Another write has renewed the lease; it began at this moment."""
        self._since = since

    def check(self) -> None:
        """Call this before each call to the platform: the lease then lasts longer than that. Raises `LeaseLostError`.

        It may happen that two threads renew: a lease that was renewed twice is as good.
        """
        if self._since.age() < _RENEW_AFTER:
            return
        since = clock.Moment.now()
        if not self._renew():
            raise LeaseLostError
        self._since = since


class Posting:
    """Sends to connections."""

    def __init__(self, connections: Connections, pause: Callable[[float], None] = time.sleep) -> None:
        self._connections = connections
        self._pause = pause
        self._threads: ThreadPoolExecutor | None = None

    def send(
        self,
        connection_id: str,
        frame: bytes,
        pauses: Iterable[float],
        check: Callable[[], None] = lambda: None,
        open_by: float = 0.0,
    ) -> Sent:
        """Send one frame. A call that the platform could not serve is repeated after each of the `pauses`, in seconds.

        Until `clock.elapsed()` passes `open_by` a connection that is not there may still be opened. A call without an
        answer is not repeated here. `check` is called before each call; what it raises ends the sending.
        """
        left = iter(pauses)
        while True:
            check()
            try:
                self._connections.post(connection_id, frame)
            except GoneError:
                if clock.elapsed() >= open_by:
                    return Sent.GONE
                self._pause(_HANDSHAKE_PAUSE)
            except OutcomeUnknownError as error:
                log.warning("connection %s: %s", connection_id, error)
                return Sent.UNKNOWN
            except UnavailableError as error:
                pause = next(left, None)
                if pause is None:
                    log.warning("connection %s cannot be reached: %s", connection_id, error)
                    return Sent.BEHIND
                self._pause(pause)
            except PlatformError:
                log.exception("the platform refused a frame for connection %s", connection_id)
                return Sent.BEHIND
            else:
                return Sent.SENT

    def close(self, connection_id: str) -> bool:
        """Close a connection; False when that failed."""
        try:
            self._connections.close(connection_id)
        except PlatformError as error:
            log.warning("connection %s cannot be closed: %s", connection_id, error)
            return False
        return True

    def side_by_side(self, work: Callable[[T], R], jobs: list[T]) -> list[R]:
        """The results of `work(job)`, in the order of the jobs. When one raises, the others have ended too."""
        if len(jobs) < 2:
            return [work(job) for job in jobs]
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "posting")
        futures = [self._threads.submit(work, job) for job in jobs]
        errors = [error for future in futures if (error := future.exception())]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]

    def shut_down(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown()
