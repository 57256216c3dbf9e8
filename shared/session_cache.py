"""The warm container's cache of active sessions: it keeps what cannot change, and nothing else is believed.

A session's name, creator, start and roster are fixed at its creation, so they are kept as long as there is room. Its
status is not: whoever finds a session here still asks the database for its status *after* the call began, and that
read sees every commit that was acknowledged before it, in any process. So an answer is as good as one read from the
database alone (it is linearizable), for the price of one read of one column by its key.

Beside a session stands when it was last known to be active, for whoever may go by a status of some age: the moment
*before* that was read or written. As a read that began before a session ended may come in after the end, what began
before the last drop, of whatever session, is not believed.
"""

import threading

import msgspec

from shared import clock
from shared.entities import Session


class CachedSession(msgspec.Struct, frozen=True):
    """A session as it was while active, and its roster for fast look-ups."""

    session: Session
    students: frozenset[str]
    active_as_of: clock.Moment | None = None


class WarmCache:
    """Session id -> `CachedSession`, bounded: the one that came first leaves first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: dict[str, CachedSession] = {}
        self._dropped = float("-inf")  # when a session was dropped last, on `clock.elapsed`
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, session_id: str) -> CachedSession | None:
        """What is known of a session; its status is to be asked for."""
        return self._entries.get(session_id)

    def put(self, session: Session, active_as_of: clock.Moment | None) -> CachedSession:
        """Keep a session that was active then; None when that is not known."""
        students = frozenset(session.student_ids)
        with self._lock:
            entry = CachedSession(session, students, self._believed(active_as_of))
            self._entries[session.id] = entry
            while len(self._entries) > self._size:
                del self._entries[next(iter(self._entries))]
        return entry

    def confirm(self, session_id: str, active_as_of: clock.Moment) -> None:
        """Remember that a session was active then; one that is not kept any more stays forgotten."""
        with self._lock:
            entry = self._entries.get(session_id)
            if entry is not None:
                believed = self._believed(active_as_of)
                self._entries[session_id] = CachedSession(entry.session, entry.students, believed)

    def drop(self, session_id: str) -> None:
        """Forget a session that has ended; to be called when its end is in the database."""
        with self._lock:
            self._dropped = clock.elapsed()
            self._entries.pop(session_id, None)

    def replace(self, sessions: list[Session], active_as_of: clock.Moment | None) -> None:
        """Keep these sessions that were active then, and no others."""
        with self._lock:
            self._entries.clear()
        for session in sessions[: self._size]:
            self.put(session, active_as_of)

    def _believed(self, active_as_of: clock.Moment | None) -> clock.Moment | None:
        return active_as_of if active_as_of is not None and active_as_of.elapsed > self._dropped else None
