"""The sweep: a schedule finishes what dead containers left, within a minute.

- Sessions with outstanding messages, or that have ended, whose delivery nobody does: `deliver` is started for each.
- Replays whose lease has expired: `replay` is started for each.
- Replaced connections that were not closed: they are told and closed here.
- Connections older than API Gateway lets them become: their `$disconnect` never came.

A lease that somebody has may be a dead container's. So a sweep that finds leases looks again when they have expired.
"""

import logging
import time
from collections.abc import Callable

from shared.live.database import LiveDatabase
from shared.live.delivery import TimeLeft
from shared.live.posting import Posting
from shared.live.replay import Replay
from shared.writes import LEASE

_LEAST_TIME = 20.0  # seconds; with less time left no connection is closed

log = logging.getLogger(__name__)


class Sweep:
    """Finds what is left, and starts whoever does it."""

    def __init__(
        self,
        database: LiveDatabase,
        posting: Posting,
        replay: Replay,
        start_delivery: Callable[[str], None],
        start_replay: Callable[[str, str], None],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`start_delivery(session)` and `start_replay(session, connection)` start another invocation."""
        self._database = database
        self._posting = posting
        self._replay = replay
        self._start_delivery = start_delivery
        self._start_replay = start_replay
        self._pause = pause

    def sweep(self, time_left: TimeLeft) -> None:
        """Look twice, if there are leases. Raises the `DatabaseError` family."""
        if self._sweep(time_left) and time_left() > LEASE.total_seconds() + _LEAST_TIME:
            self._pause(LEASE.total_seconds())
            self._sweep(time_left)

    def _sweep(self, time_left: TimeLeft) -> bool:
        """Whether somebody has a lease. What takes longest comes last: the next sweep does what is left then."""
        left = self._database.leftovers()
        for session_id in left.sessions:
            self._start_delivery(session_id)
        for session_id, connection_id in left.replays:
            self._start_replay(session_id, connection_id)
        for session_id, connection_id in left.replaced:
            if time_left() > _LEAST_TIME:
                self._replay.close_replaced(session_id, connection_id)
        for session_id, connection_id in left.expired:
            if time_left() > _LEAST_TIME and self._posting.close(connection_id):
                self._database.remove(session_id, [connection_id])
        if found := [*left.sessions, *left.replays, *left.replaced, *left.expired]:
            log.info("swept: %d deliveries, replays or connections were left", len(found))
        return left.leased
