"""SessionManager: the rules of a session's life. No SQL and no HTTP; the database is a protocol."""

import logging
from typing import NamedTuple, Protocol

from shared import clock, paging, rules
from shared.entities import ACTIVE, STUDENT, IdempotencyKey, Session, SessionFilter
from shared.errors import SessionEndedError, UnauthorizedError
from shared.identifiers import canonical, new_id
from shared.session_cache import CachedSession, WarmCache

log = logging.getLogger(__name__)

_LOADED_AT_START = 100  # sessions; a cold start must not grow with their number


class SessionStore(Protocol):
    """What the manager needs of a database; `shared.database.DatabaseManager` is one."""

    def create_session(self, session: Session, key: IdempotencyKey | None = None) -> Session: ...

    def get_session(self, session_id: str) -> Session: ...

    def get_status(self, session_id: str) -> str | None: ...

    def update_session(self, session_id: str) -> Session: ...

    def list_active_sessions(self, limit: int | None = None) -> list[Session]: ...

    def list_sessions(
        self, wanted: SessionFilter, after: tuple[str, str] | None, limit: int
    ) -> tuple[list[Session], int]: ...


class SessionPage(NamedTuple):
    """One page of a list; `next_cursor` is None at the end."""

    sessions: list[Session]
    total_count: int
    next_cursor: str | None


class SessionManager:
    """Creates, finds, ends and lists sessions, and says who may join. Safe for any number of threads.

    Raises the `SwitchboardError` family: what the contract says, and `DatabaseError` of the storage. With
    `max_staleness_ms` who may join (and nothing else) is answered by a status that is at most so old.
    """

    def __init__(self, database: SessionStore, cache_size: int = 1000, max_staleness_ms: int = 0) -> None:
        self._database = database
        self._cache = WarmCache(cache_size)
        self._max_staleness_ms = max_staleness_ms

    def create_session(
        self,
        name: str,
        created_by: str,
        student_ids: list[str] | tuple[str, ...],
        key: IdempotencyKey | None = None,
    ) -> Session:
        """Open a session for these students, duplicates removed; with a key, once for every use of the key."""
        rules.check_name(name)
        rules.check_created_by(created_by)
        students = tuple(dict.fromkeys(student_ids))
        rules.check_students(students)
        began = self._moment()
        made = Session(new_id(), name, created_by, students, clock.now())
        session = self._database.create_session(made, key)
        # a key that was used before gives the session that was made then: it may have ended since
        self._cache.put(session, began if session.id == made.id else None)
        log.info("created session %s with %d students", session.id, len(students))
        return session

    def get_session(self, session_id: str) -> Session:
        """A session with its status of this moment. Raises `SessionNotFoundError`."""
        key = rules.session_key(session_id)
        cached = self._cache.get(key)
        if cached is not None and self._still_active(key):
            return cached.session
        return self._database.get_session(key)

    def end_session(self, session_id: str) -> Session:
        """End an active session. Raises `SessionNotFoundError`, `SessionAlreadyEndedError`."""
        key = rules.session_key(session_id)
        try:
            session = self._database.update_session(key)
        finally:  # a call that failed too: somebody else has ended it, or this end may yet stand
            self._cache.drop(key)
        log.info("ended session %s", key)
        return session

    def list_active_sessions(self) -> list[Session]:
        """Every active session, newest first."""
        return self._database.list_active_sessions()

    def list_sessions(self, wanted: SessionFilter, cursor: str | None = None, limit: int = 100) -> SessionPage:
        """A page of sessions, newest first. Raises `InvalidRequestError` for a cursor of another list."""
        query = ("sessions", wanted.status, wanted.created_by, wanted.student_id)
        after = paging.position(cursor, query, tuple[str, str], _is_start_and_id)
        found, total = self._database.list_sessions(wanted, after, limit + 1)
        page, more = paging.fitting(found, _row_bytes, limit)
        return SessionPage(page, total, paging.cursor(query, (page[-1].start_time, page[-1].id)) if more else None)

    def validate_session_membership(self, session_id: str, user_id: str, role: str) -> None:
        """Return when the user may join: an instructor any active session, a student one that lists the student.

        Raises `InvalidUserIDError`, `InvalidRoleError`, `SessionNotFoundError`, `SessionEndedError`,
        `UnauthorizedError`, in this order.
        """
        self.admit(session_id, user_id, role)

    def admit(self, session_id: str, user_id: str, role: str) -> int:
        """As `validate_session_membership`, and tell how old the status is that it went by.

        In milliseconds from before its read began, rounded up: 0 when it was read for this call, and never more than
        `max_staleness_ms`. Errors do not tell.
        """
        rules.check_user_id(user_id)
        rules.check_role(role)
        known = self._known_active(session_id) if self._max_staleness_ms else None
        students, age = known or (self.roster(session_id, must_be_active=True), 0)
        if role == STUDENT and user_id not in students:
            raise UnauthorizedError
        return age

    def roster(self, session_id: str, *, must_be_active: bool) -> frozenset[str]:
        """The students of a session. Raises `SessionNotFoundError`, and `SessionEndedError` where it must be active."""
        key = rules.session_key(session_id)
        cached = self._cache.get(key)
        if cached is None:
            return self._look_up(key, must_be_active).students
        if must_be_active and not self._still_active(key):
            raise SessionEndedError
        return cached.students

    def load_active_sessions(self) -> None:
        """Fill the cache with the newest active sessions; the others come when they are asked for."""
        began = self._moment()
        self._cache.replace(self._database.list_active_sessions(_LOADED_AT_START), began)

    def refresh_cache(self) -> None:
        """Forget all that is cached, and load anew."""
        self.load_active_sessions()

    def get_stats(self) -> dict[str, int]:
        """The cache's size. A session that ended elsewhere counts until somebody asks for it."""
        return {"active_sessions": len(self._cache), "cache_size": len(self._cache)}

    def is_session_active(self, session_id: str) -> bool:
        """Whether a session is active at this moment; False too when there is none."""
        key = canonical(session_id)
        return key is not None and self._still_active(key)

    def _moment(self) -> clock.Moment | None:
        """This moment, where anybody will ask how long ago it was."""
        return clock.Moment.now() if self._max_staleness_ms else None

    def _known_active(self, session_id: str) -> tuple[frozenset[str], int] | None:
        cached = self._cache.get(rules.session_key(session_id))
        if cached is None or cached.active_as_of is None:
            return None
        age = cached.active_as_of.age()
        return (cached.students, age) if age <= self._max_staleness_ms else None

    def _still_active(self, key: str) -> bool:
        began = self._moment()
        if self._database.get_status(key) == ACTIVE:
            if began is not None:
                self._cache.confirm(key, began)
            return True
        self._cache.drop(key)
        return False

    def _look_up(self, key: str, must_be_active: bool) -> CachedSession:
        began = self._moment()
        session = self._database.get_session(key)
        if session.status == ACTIVE:
            return self._cache.put(session, began)
        self._cache.drop(key)  # a read that began earlier may be about to put it
        if must_be_active:
            raise SessionEndedError
        return CachedSession(session, frozenset(session.student_ids))


def _is_start_and_id(position: tuple[str, str]) -> bool:
    start_time, session_id = position
    return clock.is_rendered(start_time) and canonical(session_id) == session_id


def _row_bytes(session: Session) -> int:
    quotes_and_comma = 5
    students = sum(map(len, session.student_ids)) + quotes_and_comma * len(session.student_ids)
    return paging.row_bytes(session.name) + students
