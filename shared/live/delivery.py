"""Delivery: whoever has a session's lease posts everything outstanding, in order, and gives the lease back.

The messages table is the outbox. A page of messages and everybody who is live are read from one state of the database.
Each connection gets its share of the page in order; different connections are served side by side. Then one write
records how far the session is delivered. It gives the lease back only when nothing is left, under the lock that the
writers of messages take: whoever stores a message after that finds the lease free.

A holder that dies before this write has posted messages that are posted again after its lease has expired.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

from shared import clock
from shared.entities import Lease
from shared.live import frames
from shared.live.database import LiveDatabase
from shared.live.entities import Delivered, Outstanding, Progress, Recipient
from shared.live.posting import Keeper, LeaseLostError, Posting, Sent

log = logging.getLogger(__name__)

TimeLeft = Callable[[], float]
"""How many seconds an invocation has left."""

_PAUSES = (0.05, 0.2)  # seconds; then the connection gets a replay, so that the others need not wait for it
_LEAST_TIME = 10.0  # seconds; with less time left no page is begun: the next invocation goes on
_STOP = 7.0  # seconds; with less time left no frame is sent: connections that do not have the page get a replay


class _Job(NamedTuple):
    """What one connection gets of a page: frames with the sequence that the connection has after each."""

    recipient: Recipient
    frames: list[tuple[int, bytes]]
    closes: bool


class Delivery:
    """Delivers the messages of sessions."""

    def __init__(
        self,
        database: LiveDatabase,
        posting: Posting,
        hand_over: Callable[[Lease], None],
        replay: Callable[[str, str, str], None],
    ) -> None:
        """`hand_over` makes another invocation go on with a lease; `replay(session, connection, token)` starts one."""
        self._database = database
        self._posting = posting
        self._hand_over = hand_over
        self._replay = replay

    def deliver(self, lease: Lease, time_left: TimeLeft) -> None:
        """Deliver until nothing is left, or the lease is lost. Raises the `DatabaseError` family."""
        keeper = Keeper(lambda: self._database.renew(lease))
        progress = Progress.MORE
        while progress is Progress.MORE:
            if time_left() < _LEAST_TIME:
                self._hand_over(lease)
                return
            found = self._database.outstanding(lease)
            if found is None:
                return
            try:
                page = self._post(found, keeper, time_left)
            except LeaseLostError:
                log.warning("lost the lease of session %s: somebody else delivers", lease.session_id)
                return
            began = clock.Moment.now()
            progress = self._database.settle(lease, page)
            keeper.renewed(began)
            if progress is not Progress.LOST:
                for connection_id, _position in page.behind:
                    self._replay(lease.session_id, connection_id, lease.token)

    def _post(self, found: Outstanding, keeper: Keeper, time_left: TimeLeft) -> Delivered:
        """Post a page. The last page of an ended session closes every connection."""
        last = found.ended and not found.more
        sent = [(sequence, message, frames.message_frame(message)) for sequence, message in found.messages]
        delivered = found.messages[-1][0] if found.messages else found.delivered
        jobs = []
        for recipient in found.recipients:
            share = [
                (sequence, frame)
                for sequence, message, frame in sent
                if sequence > recipient.position and frames.is_for(message, recipient.user_id, recipient.role)
            ]
            if last:
                share.append((delivered, frames.session_ended()))
            if share:
                jobs.append(_Job(recipient, share, last))
        results = self._posting.side_by_side(lambda job: self._serve(job, found.delivered, keeper, time_left), jobs)
        gone, behind = [], []
        for job, (outcome, position) in zip(jobs, results, strict=True):
            if outcome is Sent.GONE:
                gone.append(job.recipient.connection_id)
            elif outcome is not Sent.SENT:
                behind.append((job.recipient.connection_id, position))
        return Delivered(delivered, tuple(gone), tuple(behind), last)

    def _serve(self, job: _Job, delivered: int, keeper: Keeper, time_left: TimeLeft) -> tuple[Sent, int]:
        """Send a connection its share; with the sequence that it has then. A connection that was closed is gone."""
        connection_id = job.recipient.connection_id
        position = max(job.recipient.position, delivered)
        for sequence, frame in job.frames:
            if time_left() < _STOP:
                return Sent.BEHIND, position
            outcome = self._posting.send(connection_id, frame, _PAUSES, keeper.check)
            if outcome is not Sent.SENT:
                return outcome, position
            position = sequence
        if job.closes:
            return (Sent.GONE if self._posting.close(connection_id) else Sent.BEHIND), position
        return Sent.SENT, position
