"""The warm container's cache of active sessions: it keeps what cannot change, and nothing else is believed.

A session's name, creator, start and roster are fixed at its creation, so they are kept as long as there is room. Its
status is not: whoever finds a session here still asks the database for its status *after* the call began, and that
read sees every commit that was acknowledged before it, in any process. So an answer is as good as one read from the
database alone (it is linearizable), for the price of one read of one column by its key.
"""

import threading

import msgspec

from shared.entities import Session


class CachedSession(msgspec.Struct, frozen=True):
    """A session as it was while active, and its roster for fast look-ups."""

    session: Session
    students: frozenset[str]


class WarmCache:
    """Session id -> `CachedSession`, bounded: the one that came first leaves first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: dict[str, CachedSession] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, session_id: str) -> CachedSession | None:
        """What is known of a session; its status is to be asked for."""
        return self._entries.get(session_id)

    def put(self, session: Session) -> CachedSession:
        """Keep an active session."""
        entry = CachedSession(session, frozenset(session.student_ids))
        with self._lock:
            self._entries[session.id] = entry
            while len(self._entries) > self._size:
                del self._entries[next(iter(self._entries))]
        return entry

    def drop(self, session_id: str) -> None:
        """Forget a session that has ended."""
        with self._lock:
            self._entries.pop(session_id, None)

    def replace(self, sessions: list[Session]) -> None:
        """Keep these sessions and no others."""
        with self._lock:
            self._entries.clear()
        for session in sessions[: self._size]:
            self.put(session)
