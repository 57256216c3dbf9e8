"""The checker: finds the promises to connected clients that a round has broken.

A connection's share is made of two parts. Up to `history_complete` it is what `history` gives to this user: every
message for an instructor, those from, to and for the student otherwise. After it, it is what is sent to this user.
The order is that of the history that was read when everything was over.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.proof.classes.seen import (
    COMPLETE,
    ENDED,
    FAILED,
    REFUSED,
    REPLACED,
    Connection,
    Departure,
    Message,
    Seen,
)

CLOSED_WITHIN = 5.0
"""Seconds from the answer to an end to the close of every connection, under load."""
FINISHED_WITHIN = 75.0
"""Seconds from the death of a container to the end of what it left: a schedule's minute, and a lease."""

_LATE = 5.0  # seconds by which a client may read a frame later than it was sent
_LEASE = 15.0  # seconds in which somebody may still be taken for alive
_KNOWN = frozenset((COMPLETE, ENDED, REPLACED, REFUSED, FAILED))
_IDLE = ("create", "list", "get", "validate", "history", "health", "connections", "authorize")  # neither send nor lead
_TO_ONE = ("inbox_response", "request")

Finding = str
Promise = Callable[[Seen], Iterator[Finding]]


class Violation(NamedTuple):
    """A promise that was broken, and how."""

    promise: str
    finding: Finding


def violations(seen: Seen) -> list[Violation]:
    """Every violation; empty when all promises were kept."""
    return [Violation(promise.__name__, finding) for promise in PROMISES for finding in promise(seen)]


def in_history(message: Message, connection: Connection) -> bool:
    """Whether `history` gives a message to this user."""
    if connection.role == "instructor":
        return True
    sent = message.from_user == connection.user_id and not _by_instructor(message)
    return sent or message.to_user == connection.user_id or message.type == "instructor_broadcast"


def is_sent(message: Message, connection: Connection) -> bool:
    """Whether a message is sent to this user, who is connected."""
    if message.from_user == connection.user_id:
        return False
    if message.type in _TO_ONE:
        return message.to_user == connection.user_id
    return (message.type == "instructor_broadcast") == (connection.role == "student")


def _by_instructor(message: Message) -> bool:
    return message.type in (*_TO_ONE, "instructor_broadcast")


def every_client_gets_exactly_its_share_in_order(seen: Seen) -> Iterator[Finding]:
    """No gap, nothing of others, and a repeat only when a container has died in between."""
    for connection in seen.connections:
        yield from _Walk(seen, connection).findings()


def the_history_comes_first_and_is_whole(seen: Seen) -> Iterator[Finding]:
    """`history_complete` comes once, and before it every message that was stored before the handshake."""
    for connection in seen.connections:
        completes = connection.events(COMPLETE)
        for one, again in itertools.pairwise(completes):
            if not any(seen.died(one - _LATE, again)):
                yield f"{connection.name}: history_complete came twice, and nobody has died"
        if not completes:
            continue
        history = {frame.message for frame in connection.frames if frame.at <= completes[-1]}
        for message in seen.histories[connection.session_id]:
            early = seen.stored.get(message.token, connection.asked) < connection.asked
            if early and in_history(message, connection) and message.id not in history:
                yield f"{connection.name}: {message.token} was stored before, and is not in its history"


def frames_are_what_the_clients_know(seen: Seen) -> Iterator[Finding]:
    """Every frame can be read by the published clients, but for the gateway's word of a container that has died."""
    for connection in seen.connections:
        for frame in connection.frames:
            if frame.event and frame.event not in _KNOWN:
                yield f"{connection.name}: a frame {frame.event} at {frame.at:.3f}"
            if frame.event == FAILED and not any(seen.died(connection.opened - _LATE, frame.at)):
                yield f"{connection.name}: the gateway reports a failure at {frame.at:.3f}, and nobody has died"


def everybody_hears_of_the_end_and_is_closed(seen: Seen) -> Iterator[Finding]:
    """Whoever stays hears `session_ended` after the last message, as its last frame, and is closed in time."""
    for connection in seen.connections:
        notices = connection.events(ENDED, REPLACED)
        for one, again in itertools.pairwise(notices):
            if not any(seen.died(one - _LATE, again)):
                yield f"{connection.name}: two notices, and nobody has died"
        if notices and any(frame.message for frame in connection.frames if frame.at > notices[-1]):
            yield f"{connection.name}: a message after the notice"
        end = seen.ends.get(connection.session_id)
        if connection.events(ENDED) and (end is None or end.begin > connection.events(ENDED)[0]):
            yield f"{connection.name}: session_ended before the end"
        if connection.departure is not Departure.STAYED:
            continue
        if connection.closed < float("inf") and not notices:
            yield f"{connection.name}: closed at {connection.closed:.3f} without a notice"
        if end is not None and (late := _late(seen, connection, max(end.answered, connection.opened), end.begin)):
            yield f"{connection.name}: closed {late:.1f} s after the end was answered"


def a_user_has_one_connection_to_a_session(seen: Seen) -> Iterator[Finding]:
    """The newest connection replaces the one before it, which hears that and is closed; no other one does."""
    for (session_id, _user), connections in seen.of_users().items():
        for older, newer in itertools.pairwise(connections):
            if older.departure is Departure.STAYED and session_id in seen.ends:
                late = _late(seen, older, newer.opened, newer.asked)
                if late and not older.events(ENDED):
                    yield f"{older.name}: closed {late:.1f} s after it was replaced"
        for connection in connections:
            others = [other for other in connections if other is not connection]
            for at in connection.events(REPLACED):
                if not any(other.asked <= at and other.opened >= connection.asked for other in others):
                    yield f"{connection.name}: replaced by nobody"


def a_message_is_stored_once(seen: Seen) -> Iterator[Finding]:
    """Whatever is repeated or dies, a message is in the history once, and not missing when its store was answered."""
    found = Counter(message.token for history in seen.histories.values() for message in history)
    yield from (f"{token} is in the history {times} times" for token, times in found.items() if times > 1)
    yield from (f"{token} is not in the history" for token in seen.stored if token not in found)


def no_connection_outlives_its_session(seen: Seen) -> Iterator[Finding]:
    """A minute after everything is over no connection is left in the tables."""
    yield from seen.left


PROMISES: tuple[Promise, ...] = (
    every_client_gets_exactly_its_share_in_order,
    the_history_comes_first_and_is_whole,
    frames_are_what_the_clients_know,
    everybody_hears_of_the_end_and_is_closed,
    a_user_has_one_connection_to_a_session,
    a_message_is_stored_once,
    no_connection_outlives_its_session,
)


def _late(seen: Seen, connection: Connection, since: float, begin: float) -> float:
    """How many seconds after `since` a connection was closed, if that is too late; 0 if it is not.

    A container that has died since `begin`, or had a lease then, may have left it to the schedule.
    """
    took = connection.closed - since
    if took <= CLOSED_WITHIN:
        return 0.0
    deaths = [death.at for death in seen.died(begin - _LEASE, connection.closed) if death.function not in _IDLE]
    return 0.0 if deaths and connection.closed <= max(deaths) + FINISHED_WITHIN else took


class _Walk:
    """Goes through the frames of one connection, beside its session's messages."""

    def __init__(self, seen: Seen, connection: Connection) -> None:
        self._seen = seen
        self._connection = connection
        self._history = seen.histories.get(connection.session_id, [])
        self._place = {message.id: place for place, message in enumerate(self._history)}
        self._last = -1
        self._first_seen: dict[int, float] = {}

    def findings(self) -> Iterator[Finding]:
        """What is wrong with the frames."""
        connection = self._connection
        completes = connection.events(COMPLETE)
        live = False
        for frame in connection.frames:
            if frame.event:
                live = live or bool(completes and frame.event == COMPLETE and frame.at == completes[-1])
                if frame.event == ENDED and (missed := self._next(live=live)) is not None:
                    yield f"{connection.name}: session_ended before {self._history[missed].token}"
                continue
            place = self._place.get(frame.message)
            if place is None:
                yield f"{connection.name}: {frame.message} is no message of the session"
            else:
                yield from self._step(place, frame.at, live=live)

    def _step(self, place: int, at: float, *, live: bool) -> Iterator[Finding]:
        message, name = self._history[place], self._connection.name
        if not self._is_mine(message, live=live):
            yield f"{name}: {message.token} is not for it"
            return
        if place > self._last:
            missed = self._next(live=live)
            if missed is not None and missed < place:
                yield f"{name}: {self._history[missed].token} is missing before {message.token}"
        elif place not in self._first_seen:
            yield f"{name}: {message.token} comes after {self._history[self._last].token}"
        elif not any(self._seen.died(self._first_seen[place] - _LATE, at)):
            yield f"{name}: {message.token} comes again, and nobody has died"
        self._last = place
        self._first_seen.setdefault(place, at)

    def _is_mine(self, message: Message, *, live: bool) -> bool:
        return is_sent(message, self._connection) if live else in_history(message, self._connection)

    def _next(self, *, live: bool) -> int | None:
        """The place of the next message that the connection has to get."""
        for place in range(self._last + 1, len(self._history)):
            if self._is_mine(self._history[place], live=live):
                return place
        return None
