"""Replay: a new connection gets its share of the history, `history_complete`, and then becomes live.

It becomes live under the lock that the writers of messages take, and only when it has every message: so there is no
gap between history and live messages, and no message is sent twice. What is stored after `history_complete` was sent
and before the connection is live is sent by the replay. A replay that dies is begun again after its lease has expired,
from the last position that it recorded.

A connection that a delivery could not reach gets a replay too: it goes on where the delivery stopped.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from shared import clock
from shared.entities import STUDENT, HistoryPage
from shared.errors import DatabaseError
from shared.live import frames
from shared.live.database import PAGE, LiveDatabase
from shared.live.delivery import TimeLeft
from shared.live.entities import REPLAYING, Progress, Replaying
from shared.live.posting import HANDSHAKE, Keeper, LeaseLostError, Posting, Sent

log = logging.getLogger(__name__)

_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)  # seconds; then the connection is closed, and its client can connect again
_LEAST_TIME = 10.0  # seconds that a page may take; with less time left the next invocation goes on


class HistoryStore(Protocol):
    """The part of `shared.database.DatabaseManager` that a replay uses."""

    def get_session_history(
        self, session_id: str, student_id: str | None = None, after: int = 0, limit: int = 1000
    ) -> HistoryPage: ...


class Replay:
    """Sends histories, and closes connections that were replaced."""

    def __init__(
        self,
        database: LiveDatabase,
        history: HistoryStore,
        posting: Posting,
        hand_over: Callable[[str, str, str], None],
    ) -> None:
        """`hand_over(session, connection, token)` makes another invocation go on with a replay."""
        self._database = database
        self._history = history
        self._posting = posting
        self._hand_over = hand_over

    def replay(
        self, session_id: str, connection_id: str, handed: str, time_left: TimeLeft, *, opening: bool = False
    ) -> None:
        """Bring a connection to its session's last message. It does nothing when somebody else has the lease.

        `opening` is whether the handshake has just ended, or is about to: the connection may not be there yet.

        Raises the `DatabaseError` family.
        """
        taken = self._database.take_replay(session_id, connection_id, handed)
        if taken is None:
            return
        run = _Run(self._database, self._history, self._posting, *taken)
        if opening:
            run.open_by = clock.elapsed() + HANDSHAKE
        try:
            if not run.run(time_left):
                self._hand_over(session_id, connection_id, run.token)
        except LeaseLostError:
            log.info("connection %s was replaced, closed or taken over", connection_id)

    def close_replaced_of(self, session_id: str, user_id: str) -> None:
        """Close the replaced connections of a user, also when the newer connection is gone again already."""
        for replaced in self._database.replaced(session_id, user_id):
            self.close_replaced(session_id, replaced)

    def close_replaced(self, session_id: str, connection_id: str) -> None:
        """Tell a connection that it was replaced, close it and remove it."""
        sent = self._posting.send(connection_id, frames.replaced(), _PAUSES[:2])
        if sent is Sent.GONE or self._posting.close(connection_id):
            self._database.remove(session_id, [connection_id])


class _Run:
    """One replay, whose lease has this token."""

    def __init__(
        self, database: LiveDatabase, history: HistoryStore, posting: Posting, token: str, found: Replaying
    ) -> None:
        self.connection = found.connection
        self.token = token
        self._database = database
        self._history = history
        self._posting = posting
        self._position = found.position
        self._sequence = found.sequence
        self._complete = found.state != REPLAYING
        self._keeper = Keeper(lambda: database.advance(found.connection, token, self._position))
        self.open_by = 0.0
        """Until then, by `clock.elapsed()`, a connection that is not there may still be opened."""

    def run(self, time_left: TimeLeft) -> bool:
        """Whether the replay is over; False when the time is. Raises `LeaseLostError`, `DatabaseError`."""
        progress = Progress.MORE
        while progress is Progress.MORE:
            more = True
            while more:
                if time_left() < _LEAST_TIME:
                    return not self._database.advance(self.connection, self.token, self._position)
                more = self._send_page()
            self._finish_history(frames.history_complete())
            self._position = max(self._position, self._sequence)
            began = clock.Moment.now()
            progress, self._sequence = self._database.go_live(self.connection, self.token, self._position)
            self._keeper.renewed(began)
        if progress is Progress.ENDED:
            self._send(frames.session_ended())
            self._close()
        return True

    def _send_page(self) -> bool:
        """Send a page of the history; whether there is another one. A history that cannot be read is left out.

        After `history_complete` a connection gets only what it would get live: no message of its own user comes back.
        """
        connection = self.connection
        student = connection.user_id if connection.role == STUDENT else None
        try:
            page = self._history.get_session_history(connection.session_id, student, self._position, PAGE)
        except DatabaseError:
            if self._complete:
                raise
            log.exception("the history for connection %s cannot be read", connection.connection_id)
            self._finish_history(frames.history_unavailable())
            return False
        for message in page.messages:
            if not self._complete or frames.is_for(message, connection.user_id, connection.role):
                self._send(frames.message_frame(message))
        self._position = page.last
        return page.more

    def _finish_history(self, frame: bytes) -> None:
        if not self._complete:
            self._send(frame)
            self._complete = True

    def _send(self, frame: bytes) -> None:
        """Send one frame, or close the connection and raise `LeaseLostError`: then there is nothing more to do.

        A call without an answer is repeated once. The client may get the frame twice, which it notices by the id. If it
        were closed without a notice, it could take that for the end of the session.
        """
        connection = self.connection
        sent = self._attempt(frame)
        if sent is Sent.UNKNOWN:
            sent = self._attempt(frame)
        if sent is Sent.GONE:
            self._database.remove(connection.session_id, [connection.connection_id])
        elif sent is not Sent.SENT:
            self._close()
        if sent is not Sent.SENT:
            raise LeaseLostError
        self.open_by = 0.0

    def _attempt(self, frame: bytes) -> Sent:
        return self._posting.send(self.connection.connection_id, frame, _PAUSES, self._keeper.check, self.open_by)

    def _close(self) -> None:
        """Close and remove the connection. If it cannot be closed, it stays: the next sweep tries again."""
        connection = self.connection
        if self._posting.close(connection.connection_id):
            self._database.remove(connection.session_id, [connection.connection_id])
