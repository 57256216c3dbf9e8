"""The live side of an execution environment: its parts, and what the functions ask of them."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from shared.database import DatabaseManager
from shared.entities import Lease, MessageDraft
from shared.errors import InvalidRequestError, LiveUnavailableError
from shared.live.connections import ConnectionManager
from shared.live.database import LiveDatabase
from shared.live.delivery import Delivery, TimeLeft
from shared.live.ports import Connections, Functions, PlatformError
from shared.live.posting import Posting
from shared.live.replay import Replay
from shared.live.sweep import Sweep
from shared.messages import MessageManager
from shared.sessions import SessionManager
from shared.shapes import prepared

log = logging.getLogger(__name__)


class Platform(NamedTuple):
    """What the live side is built on, and the deployed names of the two functions that it starts."""

    connections: Connections
    functions: Functions
    deliver: str
    replay: str


@prepared
class DeliveryEvent(msgspec.Struct):
    """The event of `deliver`. Without a session it is the schedule's; the token is of a lease that is handed over."""

    session_id: str | None = None
    token: str = ""


@prepared
class ReplayEvent(msgspec.Struct):
    """The event of `replay`; the token is of a lease that is handed over.

    `user_id` comes from a handshake: then the user's replaced connections are closed too.
    """

    session_id: str
    connection_id: str
    token: str = ""
    user_id: str | None = None


class LiveClassroom:
    """Connects, delivers, replays and sweeps. Any number of threads may use it."""

    def __init__(
        self,
        database: DatabaseManager,
        sessions: SessionManager,
        connections: ConnectionManager,
        platform: Platform,
    ) -> None:
        self._platform = platform
        self._database = database
        self._sessions = sessions
        self._connections = connections
        self._live = live = database.part(LiveDatabase)
        self._posting = Posting(platform.connections)
        self._delivery = Delivery(live, self._posting, self.hand_over, self._start_replay)
        self._replay = Replay(live, database, self._posting, self._start_replay)
        self._sweep = Sweep(live, self._posting, self._replay, self._start_delivery, self._start_replay)

    def connect(self, connection_id: str, session_id: str, user_id: str, role: str) -> None:
        """Add a connection, and start its replay. Raises the errors of `ConnectionManager.connect`.

        When the replay cannot be started, the connection is refused: `LiveUnavailableError`.
        """
        connection, token = self._connections.connect(connection_id, session_id, user_id, role)
        event = ReplayEvent(connection.session_id, connection_id, token, user_id)
        try:
            self._platform.functions.start(self._platform.replay, msgspec.to_builtins(event))
        except PlatformError as error:
            self._connections.disconnect(connection_id, connection.session_id)
            raise LiveUnavailableError from error

    def hand_over(self, lease: Lease) -> None:
        """Make another invocation deliver; never raises. When that fails, the lease is given back."""
        event = DeliveryEvent(lease.session_id, lease.token)
        if not self._start(self._platform.deliver, event):
            try:
                self._live.give_back(lease)
            except Exception:
                log.exception("the lease of session %s expires unused", lease.session_id)

    def receive(self, draft: MessageDraft, role: str, time_left: TimeLeft) -> None:
        """Store a message, and deliver it here: its sender waits for no answer. Raises the errors of `store_message`.

        A delivery that fails is no error: the message is stored, and a later delivery takes it along.
        """

        def deliver(lease: Lease) -> None:
            try:
                self._delivery.deliver(lease, time_left)
            except Exception:
                log.exception("the delivery for session %s is left to the next one", lease.session_id)

        MessageManager(self._database, self._sessions, deliver).store_message(draft, role)

    def deliver(self, event: Mapping[str, Any], time_left: TimeLeft) -> None:
        """Deliver the outstanding messages of the event's session, or sweep when it has none.

        Raises `InvalidRequestError`, the `DatabaseError` family.
        """
        wanted = _typed(event, DeliveryEvent)
        if wanted.session_id is None:
            self._sweep.sweep(time_left)
        elif lease := self._live.take(wanted.session_id, wanted.token):
            self._delivery.deliver(lease, time_left)

    def replay(self, event: Mapping[str, Any], time_left: TimeLeft) -> None:
        """Bring the event's connection to its session's last message.

        Raises `InvalidRequestError`, the `DatabaseError` family.
        """
        wanted = _typed(event, ReplayEvent)
        opening = wanted.user_id is not None
        if wanted.user_id is not None:
            self._replay.close_replaced_of(wanted.session_id, wanted.user_id)
        self._replay.replay(wanted.session_id, wanted.connection_id, wanted.token, time_left, opening=opening)

    def close(self) -> None:
        """End the threads that send."""
        self._posting.shut_down()

    def _start_delivery(self, session_id: str) -> None:
        self._start(self._platform.deliver, DeliveryEvent(session_id))

    def _start_replay(self, session_id: str, connection_id: str, token: str = "") -> None:
        self._start(self._platform.replay, ReplayEvent(session_id, connection_id, token))

    def _start(self, function: str, event: DeliveryEvent | ReplayEvent) -> bool:
        """Start a function; False, with a line in the log, when that failed. Then a sweep does what it should do."""
        try:
            self._platform.functions.start(function, msgspec.to_builtins(event))
        except PlatformError:
            log.exception("cannot start %s for session %s", function, event.session_id)
            return False
        return True


def _typed(event: Mapping[str, Any], kind: type[Any]) -> Any:
    try:
        return msgspec.convert(event, kind)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(f"event: {error}") from None
