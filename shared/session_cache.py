"""The cache of active sessions in a warm execution environment. It holds only what cannot change.

A session's name, creator, start and roster never change, so the cache may keep them. Its status can change in any
process. So a caller that finds a session here still reads the status from the database, after the call began. That
read sees every commit that was acknowledged before it, in any process. The result is linearizable, like a read without
a cache, and costs one read of one column by primary key.

For callers that accept a status of limited age, an entry also has the moment at which the session was last known to be
active: the moment *before* that status was read or written. A read that began before a session ended may return after
its end. So a moment before the last `drop`, of any session, is discarded.
"""

import threading

import msgspec

from shared import clock
from shared.entities import Session

_MAX_BYTES = 32 * 1024 * 1024
_STUDENT_BYTES = 100  # of an id's object and its places in the tuple and in the set, without its characters


class CachedSession(msgspec.Struct, frozen=True):
    """A session as it was while active, and its roster as a set."""

    session: Session
    students: frozenset[str]
    size: int
    """About how many bytes of memory it takes."""
    active_as_of: clock.Moment | None = None


class SessionCache:
    """Session id -> `CachedSession`, at most `size` of them and `max_bytes` in all: the oldest is removed first."""

    def __init__(self, size: int, max_bytes: int = _MAX_BYTES) -> None:
        self._size = size
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: dict[str, CachedSession] = {}
        self._dropped = float("-inf")  # when a session was last dropped, by `clock.elapsed`
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, session_id: str) -> CachedSession | None:
        """The entry of a session, or None. The session may have ended since."""
        return self._entries.get(session_id)

    def put(self, session: Session, active_as_of: clock.Moment | None) -> CachedSession:
        """Add a session. `active_as_of` is when it was known to be active, None when that is unknown."""
        students = frozenset(session.student_ids)
        with self._lock:
            entry = CachedSession(session, students, _size(students), self._unless_outdated(active_as_of))
            self._remove(session.id)
            self._entries[session.id] = entry
            self._bytes += entry.size
            while len(self._entries) > self._size or (self._bytes > self._max_bytes and len(self._entries) > 1):
                self._remove(next(iter(self._entries)))
        return entry

    def confirm(self, session_id: str, active_as_of: clock.Moment) -> None:
        """Set when the session was last known to be active; nothing happens if it is not in the cache."""
        with self._lock:
            entry = self._entries.get(session_id)
            if entry is not None:
                valid = self._unless_outdated(active_as_of)
                self._entries[session_id] = msgspec.structs.replace(entry, active_as_of=valid)

    def drop(self, session_id: str) -> None:
        """Remove a session that has ended. Call this after the end was committed."""
        with self._lock:
            self._dropped = clock.elapsed()
            self._remove(session_id)

    def replace(self, sessions: list[Session], active_as_of: clock.Moment | None) -> None:
        """Remove every entry, and add these sessions, known to be active at `active_as_of`."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0
        for session in sessions[: self._size]:
            self.put(session, active_as_of)

    def _remove(self, session_id: str) -> None:
        entry = self._entries.pop(session_id, None)
        if entry is not None:
            self._bytes -= entry.size

    def _unless_outdated(self, active_as_of: clock.Moment | None) -> clock.Moment | None:
        return active_as_of if active_as_of is not None and active_as_of.elapsed > self._dropped else None


def _size(students: frozenset[str]) -> int:
    return sum(map(len, students)) + _STUDENT_BYTES * (1 + len(students))
