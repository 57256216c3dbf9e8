"""The managers on each engine against the model: two containers, restarts, refreshes, a clock that steps."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from freezegun import freeze_time
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from shared.config import Settings
from shared.database import DatabaseManager, open_database
from shared.entities import IdempotencyKey, Message, MessageDraft, Reader, Session, SessionFilter
from shared.errors import SessionAlreadyEndedError, SwitchboardError
from shared.messages import MessageManager
from shared.sessions import SessionManager
from shared.writes import postgresql
from tests.proof.integrity import damage
from tests.proof.model import BY_INSTRUCTORS, BY_STUDENTS, TO_ONE, Model, Refusal
from tests.storage import PostgresDatabases, Storage, sqlite_file

T = TypeVar("T")

START = datetime(2026, 11, 22, 8, 0, 0, 250_000, tzinfo=UTC)
CACHE_SIZE = 3  # fewer than the sessions of a run
MOST_ROOMS = 4  # so that each has messages
NOBODYS_ID = "00000000-0000-4000-8000-000000000000"

members = st.sampled_from(["ann", "bob", "cleo"])
instructors = st.sampled_from(["noether", "abel"])
users = st.sampled_from(["ann", "ann", "bob", "bob", "cleo", "noether", "no user"])
roles = st.sampled_from(["student", "student", "student", "instructor", "teacher"])
rosters = st.lists(members, min_size=1, max_size=4)
keys = st.sampled_from([None, None, None, "key 1", "key 2", "key 3"])
containers = st.integers(0, 1)
limits = st.integers(1, 4)
readers = st.sampled_from(
    [None, Reader("abel", "instructor"), *(Reader(name, "student") for name in ("ann", "bob", "cleo", "no user"))]
)
filters = st.builds(
    SessionFilter,
    status=st.sampled_from(["active", "ended", None]),
    created_by=st.none() | instructors,
    student_id=st.none() | members,
)
steps = st.sampled_from([1e-6, 1, 3600, 86_399, 86_400, 86_401, -1e-6, -1, -3600, -90_000])


@st.composite
def messages(draw: st.DrawFn) -> tuple[MessageDraft, str]:
    """A message and its sender's role, most often as they should be."""
    mistaken = draw(st.sampled_from([False, False, False, False, True]))
    kind = draw(st.sampled_from([*BY_STUDENTS, *BY_INSTRUCTORS]))
    role = "student" if kind in BY_STUDENTS else "instructor"
    sender = draw(members if role == "student" else instructors)
    to_user = draw(members) if kind in TO_ONE else None
    if mistaken:
        kind = draw(st.sampled_from([kind, "request", "analytics", "shout"]))
        role, sender, to_user = draw(roles), draw(users), draw(st.none() | st.just("zoe") | members)
    content = draw(st.sampled_from([msgspec.Raw(b'{"text":"hello"}'), msgspec.Raw(b"{}")]))
    return MessageDraft("", kind, "general", sender, to_user, content), role


@dataclass
class Container:
    """A warm environment."""

    database: DatabaseManager
    sessions: SessionManager
    messages: MessageManager


def start(storage: Storage) -> Container:
    """A cold start."""
    database = open_database(Settings(database_url=storage.url, cache_size=CACHE_SIZE))
    sessions = SessionManager(database, CACHE_SIZE)
    sessions.load_active_sessions()
    return Container(database, sessions, MessageManager(database, sessions))


def outcome(call: Callable[[], T]) -> T | tuple[str, ...]:
    """What a call returned, or the name of its error and what that tells."""
    try:
        return call()
    except Refusal as refusal:
        return refusal.args
    except SessionAlreadyEndedError as error:
        return type(error).__name__, str(error.end_time)
    except SwitchboardError as error:
        return (type(error).__name__,)


def keyed(function: str, key: str | None, *request: object) -> IdempotencyKey | None:
    """A key for this request."""
    asked = hashlib.sha256(msgspec.json.encode(request)).hexdigest()
    return None if key is None else IdempotencyKey(function, key, asked)


def crawl(pages: Callable[[int, str | None], tuple[list[T], str | None]]) -> list[T]:
    """Everything on all pages; each page is asked for with its number and the cursor of the one before."""
    found: list[T] = []
    cursor = None
    for number in itertools.count():
        page, cursor = pages(number, cursor)
        found += page
        if cursor is None:
            return found
    raise AssertionError


class Service(RuleBasedStateMachine):
    """Two containers on one database, and the model; every rule asks both the same."""

    databases: Iterator[AbstractContextManager[Storage]]
    rooms: Bundle[str] = Bundle("rooms")
    any_room = rooms | rooms.map(str.upper)

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.storage = self.stack.enter_context(next(self.databases))
        self.model = Model(START)
        self.frozen = freeze_time(START)
        self.clock = self.frozen.start()
        self.containers = [start(self.storage), start(self.storage)]
        self.repeatable: list[Callable[[int], object]] = []  # calls with a key, by container

    def teardown(self) -> None:
        for container in self.containers:
            container.database.close()
        self.frozen.stop()
        with self.stack:
            assert damage(self.storage) == []

    # --- what callers do

    @initialize(target=rooms, roster=rosters)
    def open_two(self, roster: list[str]) -> MultipleResults[str]:
        return multiple(*(self._create(where, "Maths", "noether", roster, None) for where in (0, 1)))

    @precondition(lambda self: len(self.model.rooms) < MOST_ROOMS)
    @rule(target=rooms, where=containers, creator=instructors, roster=rosters, key=keys)
    def create(self, where: int, creator: str, roster: list[str], key: str | None) -> MultipleResults[str]:
        made = self._create(where, "Maths", creator, roster, key)
        return multiple(made) if made else multiple()

    def _create(self, where: int, name: str, creator: str, roster: list[str], key: str | None) -> str:
        idempotency = keyed("create", key, name, creator, roster)
        made = outcome(lambda: self.containers[where].sessions.create_session(name, creator, roster, idempotency))
        new_id = made.id if isinstance(made, Session) else ""
        assert made == outcome(lambda: self.model.create(new_id, name, creator, roster, idempotency))
        if new_id and key is not None:
            self.repeatable.append(lambda there: self._create(there, name, creator, roster, key))
        return new_id

    @precondition(lambda self: len(self.model.matching(SessionFilter())) > 1)
    @rule(where=containers, room=any_room)
    def end(self, where: int, room: str) -> None:
        ended = outcome(lambda: self.containers[where].sessions.end_session(room))
        assert ended == outcome(lambda: self.model.end(room))

    @rule(where=containers, room=any_room, user=users, role=roles)
    def ask(self, where: int, room: str, user: str, role: str) -> None:
        sessions = self.containers[where].sessions
        answer = outcome(lambda: sessions.validate_session_membership(room, user, role))
        assert answer == outcome(lambda: self.model.validate(room, user, role))
        assert outcome(lambda: sessions.get_session(room)) == outcome(lambda: self.model.get(room))

    @rule(
        where=containers,
        room=any_room,
        said=st.lists(messages(), min_size=1, max_size=6),
        key=keys,
        between=st.sampled_from([0, 0, -1, 1e-6]),
        reader=readers,
        limit=limits,
    )
    def store(
        self,
        where: int,
        room: str,
        said: list[tuple[MessageDraft, str]],
        key: str | None,
        between: float,
        reader: Reader | None,
        limit: int,
    ) -> None:
        for number, (draft, role) in enumerate(said):
            self._store((where + number) % 2, replace(draft, session_id=room), role, None if number else key)
            self.step_clock(between)
        self.history(where, room, reader, limit)

    def _store(self, where: int, draft: MessageDraft, role: str, key: str | None) -> None:
        idempotency = keyed("store", key, draft, role)
        stored = outcome(lambda: self.containers[where].messages.store_message(draft, role, idempotency))
        new_id = stored.id if isinstance(stored, Message) else ""
        assert stored == outcome(lambda: self.model.store(new_id, draft, role, idempotency))
        if new_id and key is not None:
            self.repeatable.append(lambda there: self._store(there, draft, role, key))

    @precondition(lambda self: self.repeatable)
    @rule(where=containers, which=st.integers(0, 9))
    def repeat(self, where: int, which: int) -> None:
        self.repeatable[which % len(self.repeatable)](where)

    @rule(
        where=containers,
        creator=users,
        roster=st.sampled_from([[], ["ann", "b\n"]]),
        no_room=st.sampled_from([NOBODYS_ID, "no id"]),
        message=messages(),
    )
    def ask_amiss(
        self, where: int, creator: str, roster: list[str], no_room: str, message: tuple[MessageDraft, str]
    ) -> None:
        assert self._create(where, "Maths", creator, roster, None) == ""
        self.end(where, no_room)
        self.ask(where, no_room, "ann", "student")
        self.history(where, no_room, None, 1)
        self._store(where, replace(message[0], session_id=no_room), message[1], "key 1")

    @rule(where=containers, wanted=filters, limit=limits)
    def list_sessions(self, where: int, wanted: SessionFilter, limit: int) -> None:
        expected = self.model.matching(wanted)

        def page(number: int, cursor: str | None) -> tuple[list[Session], str | None]:
            answer = self.containers[(where + number) % 2].sessions.list_sessions(wanted, cursor, limit)
            assert answer.total_count == len(expected)
            assert len(answer.sessions) == min(limit, len(expected) - number * limit)
            return answer.sessions, answer.next_cursor

        assert crawl(page) == expected

    @rule(where=containers, room=any_room, reader=readers, limit=limits)
    def history(self, where: int, room: str, reader: Reader | None, limit: int) -> None:
        def page(number: int, cursor: str | None) -> tuple[list[Message], str | None]:
            answer = self.containers[(where + number) % 2].messages.session_history(room, reader, cursor, limit)
            assert len(answer.messages) <= limit
            return answer.messages, answer.next_cursor

        assert outcome(lambda: crawl(page)) == outcome(lambda: self.model.history(room, reader))

    # --- what happens to containers

    @rule(where=containers, cold=st.booleans())
    def start_again(self, where: int, cold: bool) -> None:
        if cold:
            self.containers[where].database.close()
            self.containers[where] = start(self.storage)
        else:
            self.containers[where].sessions.refresh_cache()

    @rule(seconds=steps)
    def step_clock(self, seconds: float) -> None:
        self.model.clock += timedelta(seconds=seconds)
        self.clock.move_to(self.model.clock)

    # --- what holds after each step

    @invariant()
    def active_sessions_are_the_model_s(self) -> None:
        active = self.model.matching(SessionFilter())
        for container in self.containers:
            assert container.sessions.list_active_sessions() == active
            assert container.database.count_active_sessions() == len(active)
            assert container.sessions.get_stats()["cache_size"] <= CACHE_SIZE

    @invariant()
    def every_session_has_the_model_s_status(self) -> None:
        for session_id, room in self.model.rooms.items():
            for container in self.containers:
                assert container.database.get_status(session_id) == room.session.status


def files(folder: Path) -> Iterator[AbstractContextManager[Storage]]:
    """One file after the other."""
    return (nullcontext(sqlite_file(folder / f"{number}.db")) for number in itertools.count())


def test_the_service_agrees_with_the_model_on_sqlite(tmp_path: Path) -> None:
    agree(files(tmp_path), times=70)


def test_the_service_agrees_with_the_model_on_postgresql(
    postgres_databases: PostgresDatabases, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The model forgets expired answers at each write with a key, as SQLite does, and not at some of them.
    monkeypatch.setattr(postgresql, "_DELETE_ONE_TIME_IN", 1)
    agree((postgres_databases.database() for _ in itertools.count()), times=70)


def agree(on: Iterator[AbstractContextManager[Storage]], times: int) -> None:
    """Run the machine on one database after the other."""

    class Here(Service):
        databases = on

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=times,
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
