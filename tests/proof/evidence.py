"""What the calls of a record show about each session, each write, and each reading of a list or a history."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final

import msgspec

from tests.proof.record import OK, Call, Fields

ACTIVE: Final = "active"
ENDED: Final = "ended"
MISSING: Final = "missing"
THERE: Final = "there"  # active or ended

_SHOWN_BY_REFUSALS: Final = {
    "session_not_found": MISSING,
    "session_ended": ENDED,
    "session_already_ended": ENDED,
    "invalid_recipient": ACTIVE,
}


class Sighting(msgspec.Struct, frozen=True):
    """What one call showed of one session at some moment between `begin` and `end`."""

    session_id: str
    state: str
    begin: float
    end: float
    call: Call
    shown: Fields = {}
    """The session, or as much of it as was answered."""


class Attempts(msgspec.Struct, frozen=True):
    """All calls that asked for the same write, under one key: at most one of them made it."""

    calls: list[Call]

    @property
    def asked(self) -> Fields:
        """The arguments."""
        return self.calls[0].arguments

    @property
    def begin(self) -> float:
        """No earlier was the write made."""
        return min(call.begin for call in self.calls)

    @property
    def acknowledged(self) -> float:
        """The write was made before this time; infinite if no call shows it."""
        return min((call.end for call in self.calls if call.outcome == OK), default=math.inf)

    @property
    def may_be_committed(self) -> bool:
        """Whether the write can have been made."""
        return any(call.may_be_committed for call in self.calls)


class Reading(msgspec.Struct, frozen=True):
    """One crawl through a list or a history, page after page."""

    pages: list[Call]

    @property
    def asked(self) -> Fields:
        """The first page's arguments."""
        return self.pages[0].arguments

    @property
    def begin(self) -> float:
        """When the first page was asked for."""
        return self.pages[0].begin

    @property
    def last_begin(self) -> float:
        """When the last page was asked for."""
        return self.pages[-1].begin

    @property
    def end(self) -> float:
        """When the last page was there."""
        return self.pages[-1].end

    @property
    def complete(self) -> bool:
        """Whether it came to the end."""
        return self.pages[-1].value["next_cursor"] is None

    @property
    def sessions(self) -> list[Fields]:
        """The sessions of all pages of a list."""
        return [session for page in self.pages for session in page.value["sessions"]]

    @property
    def messages(self) -> list[list[str]]:
        """Token, id and timestamp of each message of a history."""
        return [message for page in self.pages for message in page.value["messages"]]

    @property
    def student(self) -> str | None:
        """The student of a filtered history; None for a whole one."""
        user_id: str | None = self.asked["user_id"]
        return user_id if self.asked["role"] == "student" else None


class Evidence:
    """A record, and what follows from it."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self.calls = list(calls)

    def of(self, *operations: str) -> Iterator[Call]:
        """The calls of these operations."""
        return (call for call in self.calls if call.operation in operations)

    @cached_property
    def creates(self) -> dict[str, Attempts]:
        """Creates by the session's name, which is asked for once, or under one key."""
        return self._attempts("create", "name")

    @cached_property
    def stores(self) -> dict[str, Attempts]:
        """Stores by the message's token, which is asked for once, or under one key."""
        return self._attempts("store", "token")

    @cached_property
    def stores_by_session(self) -> dict[str, list[Attempts]]:
        """The same, for each session."""
        stores = defaultdict(list)
        for store in self.stores.values():
            stores[str(store.asked["session_id"])].append(store)
        return stores

    @cached_property
    def ends(self) -> dict[str, list[Call]]:
        """Ends by session."""
        ends = defaultdict(list)
        for call in self.of("end"):
            ends[str(call.arguments["session_id"])].append(call)
        return ends

    @cached_property
    def sightings(self) -> dict[str, list[Sighting]]:
        """What was seen of each session."""
        seen = defaultdict(list)
        for call in self.calls:
            for sighting in self._sightings(call):
                seen[sighting.session_id].append(sighting)
        return seen

    @cached_property
    def created(self) -> dict[str, Attempts]:
        """Creates by session id, of every session that was seen with its name."""
        named = {session_id: self.name_of(session_id) for session_id in self.sightings}
        return {session_id: self.creates[name] for session_id, name in named.items() if name in self.creates}

    def name_of(self, session_id: str) -> str | None:
        """A session's name, where it was seen."""
        names = (sighting.shown.get("name") for sighting in self.sightings[session_id])
        return next((name for name in names if name), None)

    def first(self, session_id: str, *states: str) -> float:
        """By when somebody had seen the session in one of these states; infinite when nobody did."""
        return min(self._first_seen.get((session_id, state), math.inf) for state in states)

    @cached_property
    def _first_seen(self) -> dict[tuple[str, str], float]:
        first: dict[tuple[str, str], float] = {}
        for session_id, sightings in self.sightings.items():
            for sighting in sightings:
                key = (session_id, sighting.state)
                first[key] = min(sighting.end, first.get(key, math.inf))
        return first

    @cached_property
    def lists(self) -> list[Reading]:
        """Every crawl through a list that got a page."""
        return self._readings("list")

    @cached_property
    def histories(self) -> dict[str, list[Reading]]:
        """Every crawl through a history that got a page, by session."""
        histories = defaultdict(list)
        for reading in self._readings("history"):
            histories[str(reading.asked["session_id"])].append(reading)
        return histories

    @cached_property
    def orders(self) -> dict[str, list[str]]:
        """The tokens of each session's messages in order: the longest history that anybody read in full."""
        return {
            session_id: max(
                ([message[0] for message in reading.messages] for reading in readings if reading.student is None),
                key=len,
                default=[],
            )
            for session_id, readings in self.histories.items()
        }

    def _attempts(self, operation: str, name: str) -> dict[str, Attempts]:
        attempts = defaultdict(list)
        for call in self.of(operation):
            attempts[str(call.arguments[name])].append(call)
        return {token: Attempts(calls) for token, calls in attempts.items()}

    def _readings(self, operation: str) -> list[Reading]:
        pages = defaultdict(list)
        for call in self.of(operation):
            if call.outcome == OK:
                pages[call.arguments["reading"]].append(call)
        return [Reading(sorted(calls, key=lambda call: call.begin)) for calls in pages.values()]

    def _sightings(self, call: Call) -> Iterator[Sighting]:
        if call.operation == "list":
            for session in call.value.get("sessions", ()):
                yield Sighting(session["id"], session["status"], call.begin, call.end, call, session)
            return
        session_id = call.value.get("id") if call.operation == "create" else call.arguments["session_id"]
        state = self._shown(call)
        if session_id is not None and state is not None:
            stored = call.operation == "store" and call.outcome == OK  # perhaps by an earlier call with the same key
            begin = self.stores[call.arguments["token"]].begin if stored else call.begin
            shown = call.value if call.operation in ("create", "get", "end") else {}
            yield Sighting(session_id, state, begin, call.end, call, shown)

    def _shown(self, call: Call) -> str | None:
        """The state of its session that a call saw."""
        if call.outcome == OK:
            of_session = call.value.get("status", ACTIVE)
            return {"history": THERE, "create": THERE}.get(call.operation, of_session)
        if call.outcome == "unauthorized":  # asked after the status, where that matters
            return THERE if call.operation == "history" else ACTIVE
        return _SHOWN_BY_REFUSALS.get(call.outcome)
