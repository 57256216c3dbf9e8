"""SessionManager: the rules for creating, finding, listing, joining and ending sessions. No SQL and no HTTP."""

import logging
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from shared import clock, paging, rules
from shared.entities import (
    ACTIVE,
    ENDED,
    INSTRUCTOR,
    STUDENT,
    Caller,
    FoundSessions,
    IdempotencyKey,
    Lease,
    Session,
    SessionFilter,
)
from shared.errors import IdentityMismatchError, SessionEndedError, SessionNotFoundError, UnauthorizedError
from shared.identifiers import canonical, new_id
from shared.session_cache import SessionCache

log = logging.getLogger(__name__)

_LOADED_AT_START = 100  # sessions; the time of a cold start must not grow with the number of sessions


class SessionStore(Protocol):
    """The part of `shared.database.DatabaseManager` that the manager uses."""

    def create_session(self, session: Session, key: IdempotencyKey | None = None) -> Session: ...

    def get_session(self, session_id: str) -> Session: ...

    def get_status(self, session_id: str) -> str | None: ...

    def update_session(self, session_id: str, lease: Lease | None = None) -> Session: ...

    def list_active_sessions(self, limit: int | None = None) -> list[Session]: ...

    def list_sessions(self, wanted: SessionFilter, after: tuple[str, str] | None, limit: int) -> FoundSessions: ...


class SessionPage(NamedTuple):
    """One page of a list; `next_cursor` is None at the end."""

    sessions: list[Session]
    total_count: int
    next_cursor: str | None


class SessionManager:
    """Creates, finds, ends and lists sessions, and checks who may join. Any number of threads may use it.

    Methods raise the `SwitchboardError` family, `DatabaseError` included. With `max_staleness_ms` above 0 the check of
    who may join, and nothing else, may use a status that is at most that old.
    """

    def __init__(
        self,
        database: SessionStore,
        cache_size: int = 1000,
        max_staleness_ms: int = 0,
        max_students: int = 1000,
        *,
        end_only_own: bool = False,
        ended: Callable[[Lease], None] | None = None,
    ) -> None:
        """`ended` is called after an end has been committed, when the caller got the lease of the session's delivery.

        It must not raise.
        """
        self._database = database
        self._ended = ended
        self._cache = SessionCache(cache_size)
        self._max_staleness_ms = max_staleness_ms
        self._max_students = max_students
        self._end_only_own = end_only_own

    def create_session(
        self,
        name: str,
        created_by: str,
        student_ids: list[str] | tuple[str, ...],
        key: IdempotencyKey | None = None,
        caller: Caller | None = None,
    ) -> Session:
        """Create a session for these students, without duplicates. With a key, at most one session for that key."""
        _require_instructor(caller)
        rules.check_name(name)
        rules.check_created_by(created_by)
        students = tuple(dict.fromkeys(student_ids))
        rules.check_students(students, self._max_students)
        began = self._moment()
        made = Session(new_id(), name, created_by, students, clock.now())
        session = self._database.create_session(made, key)
        is_new = session.id == made.id  # a key that was used before returns the earlier session: it may have ended
        self._cache.put(session, began if is_new else None)
        if is_new:
            log.info("created session %s with %d students", session.id, len(students))
        return session

    def get_session(self, session_id: str, caller: Caller | None = None) -> Session:
        """The session with its current status. Raises `SessionNotFoundError`.

        A student finds only sessions that list the student: whether another session exists is a secret.
        """
        key = rules.session_key(session_id)
        cached = self._cache.get(key)
        active = cached is not None and self._still_active(key)
        session = cached.session if cached is not None and active else self._database.get_session(key)
        if session.status == ENDED:
            self.saw_end(key)
        if caller is not None and caller.role == STUDENT and caller.user_id not in session.student_ids:
            raise SessionNotFoundError
        return session

    def end_session(self, session_id: str, caller: Caller | None = None) -> Session:
        """End an active session. Raises `SessionNotFoundError`, `SessionAlreadyEndedError`, `UnauthorizedError`.

        Any instructor may, or only its creator where the settings say so.
        """
        _require_instructor(caller)
        key = rules.session_key(session_id)
        if caller is not None and self._end_only_own and self.get_session(key).created_by != caller.user_id:
            raise UnauthorizedError
        lease = None if self._ended is None else Lease(key)
        try:
            session = self._database.update_session(key, lease)
        finally:  # after a failure too: another call has ended the session, or the outcome of this one is unknown
            self._cache.drop(key)
        log.info("ended session %s", key)
        if lease is not None and lease.token and self._ended is not None:
            self._ended(lease)
        return session

    def list_active_sessions(self) -> list[Session]:
        """Every active session, newest first."""
        return self._database.list_active_sessions()

    def list_sessions(
        self, wanted: SessionFilter, cursor: str | None = None, limit: int = 100, caller: Caller | None = None
    ) -> SessionPage:
        """A page of sessions, newest first; a student's own ones for a student.

        Raises the errors of `rules.check_filter`, `IdentityMismatchError` for another student's sessions, and
        `InvalidRequestError` for a cursor of another list.
        """
        rules.check_filter(wanted)
        if caller is not None and caller.role == STUDENT:
            wanted = _own(wanted, caller)
        query = ("sessions", wanted.status, wanted.created_by, wanted.student_id)
        after = paging.position(cursor, query, tuple[str, str], _is_start_and_id)
        found = self._database.list_sessions(wanted, after, limit)
        for session in found.sessions:
            if session.status == ENDED:
                self.saw_end(session.id)
        last = found.sessions[-1] if found.more else None
        cursor = paging.cursor(query, (last.start_time, last.id)) if last else None
        return SessionPage(found.sessions, found.total, cursor)

    def validate_session_membership(self, session_id: str, user_id: str, role: str) -> None:
        """Return if the user may join: an instructor any active session, a student only with an entry in the roster.

        Raises `InvalidUserIDError`, `InvalidRoleError`, `SessionNotFoundError`, `SessionEndedError`,
        `UnauthorizedError`, in this order.
        """
        self.validate_with_status_age(session_id, user_id, role)

    def validate_with_status_age(self, session_id: str, user_id: str, role: str) -> int:
        """Do the same as `validate_session_membership`, and return the age of the status that was used.

        The age is in milliseconds since before the status was read, rounded up. It is 0 when the status was read for
        this call, and at most `max_staleness_ms`.
        """
        rules.check_user_id(user_id)
        rules.check_role(role)
        known = self._known_active(session_id) if self._max_staleness_ms else None
        students, age = known or (self.roster(session_id, must_be_active=True), 0)
        if role == STUDENT and user_id not in students:
            raise UnauthorizedError
        return age

    def roster(self, session_id: str, *, must_be_active: bool) -> frozenset[str]:
        """The students of a session. Raises `SessionNotFoundError`, and `SessionEndedError` if it must be active."""
        key = rules.session_key(session_id)
        cached = self._cache.get(key)
        if cached is None:
            return self._look_up(key, must_be_active)
        if must_be_active and not self._still_active(key):
            raise SessionEndedError
        return cached.students

    def saw_end(self, session_id: str) -> None:
        """Record that a call has seen this session ended: from now on no call uses an older status."""
        self._cache.drop(session_id)

    def load_active_sessions(self) -> None:
        """Fill the cache with the newest active sessions. Others are added when a call asks for them."""
        began = self._moment()
        self._cache.replace(self._database.list_active_sessions(_LOADED_AT_START), began)

    def refresh_cache(self) -> None:
        """Empty the cache and load it again."""
        self.load_active_sessions()

    def get_stats(self) -> dict[str, int]:
        """The cache's size. It may count sessions that another process has ended."""
        return {"active_sessions": len(self._cache), "cache_size": len(self._cache)}

    def is_session_active(self, session_id: str) -> bool:
        """Whether the session is active now; False when there is no such session."""
        key = canonical(session_id)
        return key is not None and self._still_active(key)

    def _moment(self) -> clock.Moment | None:
        """The current moment, or None when ages are not needed: without `max_staleness_ms`."""
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

    def _look_up(self, key: str, must_be_active: bool) -> frozenset[str]:
        began = self._moment()
        session = self._database.get_session(key)
        if session.status == ACTIVE:
            return self._cache.put(session, began).students
        self._cache.drop(key)  # a read that began before the end may still add it
        if must_be_active:
            raise SessionEndedError
        return frozenset(session.student_ids)


def _require_instructor(caller: Caller | None) -> None:
    if caller is not None and caller.role != INSTRUCTOR:
        raise UnauthorizedError


def _own(wanted: SessionFilter, student: Caller) -> SessionFilter:
    if wanted.student_id not in (None, student.user_id):
        raise IdentityMismatchError("student_id: is not the caller's")
    return msgspec.structs.replace(wanted, student_id=student.user_id)


def _is_start_and_id(position: tuple[str, str]) -> bool:
    start_time, session_id = position
    return clock.is_rendered(start_time) and canonical(session_id) == session_id
