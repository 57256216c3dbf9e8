"""ConnectionManager: the rules for connecting to a session, and who is connected."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from shared import clock, rules
from shared.entities import INSTRUCTOR, Caller, Session
from shared.errors import UnauthorizedError
from shared.live.entities import Connection, Participant
from shared.sessions import SessionManager


class CountedSession(Session, frozen=True):
    """A session, and how many connections it has."""

    connection_count: int = 0


class ConnectionStore(Protocol):
    """The part of `shared.live.database.LiveDatabase` that the manager uses."""

    def connect(self, connection: Connection) -> str: ...

    def remove(self, session_id: str, connection_ids: Sequence[str]) -> None: ...

    def participants(self, session_id: str) -> list[Participant]: ...

    def counts(self, session_ids: Sequence[str]) -> dict[str, int]: ...


class ConnectionManager:
    """Adds, removes and lists connections. Any number of threads may use it."""

    def __init__(self, database: ConnectionStore, sessions: SessionManager) -> None:
        self._database = database
        self._sessions = sessions

    def connect(self, connection_id: str, session_id: str, user_id: str, role: str) -> tuple[Connection, str]:
        """Add a connection of somebody who may join; with the token that its replay is handed.

        Raises the errors of `SessionManager.validate_session_membership`; whether the session is active is checked
        again in the transaction.
        """
        self._sessions.validate_session_membership(session_id, user_id, role)
        connection = Connection(connection_id, rules.session_key(session_id), user_id, role, clock.now())
        return connection, self._database.connect(connection)

    def disconnect(self, connection_id: str, session_id: str) -> None:
        """Remove a connection; one that is gone already is no error."""
        self._database.remove(rules.session_key(session_id), [connection_id])

    def participants(self, session_id: str, caller: Caller | None = None) -> list[Participant]:
        """Who is connected to an active or ended session, for instructors. Raises `SessionNotFoundError`,
        `UnauthorizedError`.
        """
        if caller is not None and caller.role != INSTRUCTOR:
            raise UnauthorizedError
        return self._database.participants(self._sessions.get_session(session_id).id)

    def count(self, session_id: str) -> int:
        """How many connections a session has, by its canonical id."""
        return self._database.counts([session_id]).get(session_id, 0)

    def counted(self, sessions: Sequence[Session]) -> list[CountedSession]:
        """The sessions, each with the number of its connections."""
        counts = self._database.counts([session.id for session in sessions])
        return [
            CountedSession(**msgspec.structs.asdict(session), connection_count=counts.get(session.id, 0))
            for session in sessions
        ]
