"""`SWITCHBOARD_MAX_STALENESS_MS`: how old a status `validate` may go by, that it tells, what stays exact."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory

from emulator.manifest.loader import load
from shared import clock, environment, errors
from shared.config import Settings
from shared.database import DatabaseManager, open_database
from shared.sessions import SessionManager
from tests.conftest import Classroom, Freeze, Json, call, open_classroom

ROOT = Path(__file__).parents[2]
VARIABLE = "SWITCHBOARD_MAX_STALENESS_MS"
BOUND = 60
"""The maximum age of a status in seconds; the clocks of these tests do not move by themselves."""

END = """
import sys
from functions.end import handler
answer = handler({"pathParameters": {"session_id": sys.argv[1]}}, None)
sys.exit(answer["statusCode"] != 200)
"""


def ask(room: Classroom, user_id: str = "ann") -> tuple[int, str | None]:
    """May this student join? The status of the answer, and the age that it tells of the session's."""
    answer = room.ask("validate", user_id=user_id, role="student")
    return answer.status, answer.headers.get("switchboard-status-age-ms")


ENDED = (410, None)


class Clocks:
    """The clock of durations and the wall clock; `clocks.wall.tick` moves only the wall clock."""

    def __init__(self, wall: FrozenDateTimeFactory) -> None:
        self.wall = wall
        self.elapsed = 1024.0

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self.elapsed += seconds
        self.wall.tick(seconds)


@pytest.fixture
def clocks(freeze: Freeze, monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Clocks that only the test moves."""
    wall = freeze("2026-11-22 07:24:11.123456")
    assert isinstance(wall, FrozenDateTimeFactory)
    clocks = Clocks(wall)
    monkeypatch.setattr(clock, "elapsed", lambda: clocks.elapsed)
    return clocks


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a status be old, in a container that keeps one session."""
    monkeypatch.setenv(VARIABLE, str(1000 * BOUND))
    monkeypatch.setenv("SWITCHBOARD_CACHE_SIZE", "1")


@pytest.fixture
def elsewhere() -> Iterator[SessionManager]:
    """Another container on the same database."""
    database = open_database(Settings.from_environment())
    yield SessionManager(database)
    database.close()


Amid = Callable[[str, Callable[[], object]], None]


@pytest.fixture
def amid(monkeypatch: pytest.MonkeyPatch) -> Amid:
    """`amid(method, happens)`: the next call of the database's method reads or writes, then something happens."""

    def arrange(method: str, happens: Callable[[], object]) -> None:
        real = getattr(DatabaseManager, method)

        def call_and_let_happen(*arguments: Any) -> object:
            monkeypatch.setattr(DatabaseManager, method, real)
            result = real(*arguments)
            happens()
            return result

        monkeypatch.setattr(DatabaseManager, method, call_and_let_happen)

    return arrange


def end_all_here() -> None:
    """End every session, in this container."""
    for session in environment.sessions().list_active_sessions():
        assert call("end", session.id).status == 200


# Each way to come to know that a session is active: what happens before, then what calls the database's method

Learn = Callable[[Classroom], object]


def refresh(room: Classroom) -> None:
    """Load the sessions anew."""
    environment.sessions().refresh_cache()


def evicted(clocks: Clocks) -> Classroom:
    """A session that this container does not know any more."""
    room = open_classroom()
    open_classroom()
    return room


def expired(clocks: Clocks) -> Classroom:
    """A session of which it knows too little."""
    room = open_classroom()
    clocks.tick(BOUND + 1)
    return room


WAYS = pytest.mark.parametrize(
    ("method", "prepare", "learn"),
    [
        pytest.param("get_status", expired, ask, id="validate reads its status"),
        pytest.param("get_session", evicted, ask, id="validate looks it up"),
        pytest.param("get_session", evicted, lambda room: room.history(), id="history looks it up"),
        pytest.param("get_status", expired, lambda room: room.ask("get"), id="get reads its status"),
        pytest.param("list_active_sessions", expired, refresh, id="it is loaded"),
    ],
)


@WAYS
def test_a_status_counts_from_before_it_was_read_and_only_so_long(
    method: str,
    prepare: Callable[[Clocks], Classroom],
    learn: Learn,
    bound: None,
    clocks: Clocks,
    amid: Amid,
    elsewhere: SessionManager,
) -> None:
    room = prepare(clocks)
    amid(method, lambda: clocks.tick(40))
    learn(room)
    elsewhere.end_session(room.id)
    clocks.tick(BOUND - 40)
    assert ask(room) == (200, "60000")
    clocks.tick(0.001)
    assert ask(room) == ENDED


def test_the_status_of_a_new_session_counts_from_before_it_was_written(
    bound: None, clocks: Clocks, amid: Amid, elsewhere: SessionManager
) -> None:
    amid("create_session", lambda: clocks.tick(40))
    room = open_classroom()
    elsewhere.end_session(room.id)
    clocks.tick(BOUND - 40)
    assert ask(room) == (200, "60000")
    clocks.tick(0.001)
    assert ask(room) == ENDED


@WAYS
def test_a_read_that_an_end_overtakes_is_not_believed(
    method: str, prepare: Callable[[Clocks], Classroom], learn: Learn, bound: None, clocks: Clocks, amid: Amid
) -> None:
    room = prepare(clocks)
    amid(method, end_all_here)
    learn(room)
    assert ask(room) == ENDED


def test_an_end_that_overtakes_the_answer_to_create_is_seen(bound: None, clocks: Clocks, amid: Amid) -> None:
    amid("create_session", end_all_here)
    assert ask(open_classroom()) == ENDED


def test_two_reads_that_an_end_overtakes_are_not_believed(bound: None, clocks: Clocks, amid: Amid) -> None:
    room = expired(clocks)

    def look_up_meanwhile() -> None:
        open_classroom()  # the container forgets the first
        amid("get_session", end_all_here)
        room.history()  # and has it again, with no word of its status

    amid("get_status", look_up_meanwhile)
    assert ask(room) == (200, "0")
    assert ask(room) == ENDED


def test_what_one_call_saw_ended_no_later_one_sees_alive(
    bound: None, clocks: Clocks, amid: Amid, elsewhere: SessionManager
) -> None:
    room = evicted(clocks)

    def end_elsewhere_and_ask() -> None:
        elsewhere.end_session(room.id)
        assert ask(room) == ENDED

    amid("get_session", end_elsewhere_and_ask)
    assert ask(room) == (200, "0")
    assert ask(room) == ENDED


def store(room: Classroom) -> object:
    """Try to store a message."""
    return room.store().status


def get(room: Classroom) -> object:
    """Read the session."""
    return room.ask("get").body["session"]["status"]


def list_all(room: Classroom) -> object:
    """List the session."""
    return call("list", query={"status": "all"}).body["sessions"][-1]["status"]


@pytest.mark.parametrize(("look", "seen"), [(store, 410), (get, "ended"), (list_all, "ended")])
def test_what_one_function_saw_ended_validate_does_not_see_alive(
    bound: None, clocks: Clocks, elsewhere: SessionManager, look: Callable[[Classroom], object], seen: object
) -> None:
    room = open_classroom()
    elsewhere.end_session(room.id)
    assert (look(room), ask(room)) == (seen, ENDED)


@pytest.mark.parametrize(("look", "seen"), [(get, "ended"), (list_all, "ended")])
def test_what_one_function_saw_ended_no_read_that_began_earlier_revives(
    bound: None,
    clocks: Clocks,
    amid: Amid,
    elsewhere: SessionManager,
    look: Callable[[Classroom], object],
    seen: object,
) -> None:
    room = evicted(clocks)

    def see_the_end() -> None:
        elsewhere.end_session(room.id)
        assert look(room) == seen

    amid("get_session", see_the_end)
    assert (ask(room), ask(room)) == ((200, "0"), ENDED)


def test_without_the_setting_the_status_is_read_each_time(clocks: Clocks, elsewhere: SessionManager) -> None:
    room = open_classroom()
    assert [ask(room), ask(room)] == [(200, "0")] * 2
    elsewhere.end_session(room.id)
    assert ask(room) == ENDED


def test_an_end_in_another_process_is_seen_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    milliseconds = 200
    monkeypatch.setenv(VARIABLE, str(milliseconds))
    room = open_classroom()
    other = subprocess.Popen([sys.executable, "-c", END, room.id], cwd=ROOT)
    ended, begun, ages = None, clock.elapsed(), set[int]()
    while (answer := ask(room)) != ENDED:
        assert answer[0] == 200
        assert ended is None or begun <= ended + milliseconds / 1000
        ages.add(int(answer[1] or "no age"))
        if ended is None and other.poll() is not None:
            ended = clock.elapsed()
        begun = clock.elapsed()
    assert other.wait() == 0
    assert ages <= set(range(milliseconds + 1))
    assert len(ages) > 1


def test_a_cold_start_may_go_by_what_it_loaded(bound: None, clocks: Clocks) -> None:
    room = open_classroom()
    environment.reset()
    environment.current()
    clocks.tick(1)
    assert ask(room) == (200, "1000")


@pytest.mark.parametrize(
    ("seconds", "age"), [(0.0001, "1"), (0.001, "1"), (0.0011, "2"), (1.5, "1500"), (60, "60000"), (60.0001, "0")]
)
def test_the_age_is_told_in_whole_milliseconds_rounded_up(
    bound: None, clocks: Clocks, seconds: float, age: str
) -> None:
    room = open_classroom()
    clocks.elapsed += seconds
    assert ask(room) == (200, age)


def test_a_read_for_the_call_has_no_age_and_counts_for_the_next(bound: None, clocks: Clocks) -> None:
    room = expired(clocks)
    assert ask(room) == (200, "0")
    clocks.tick(0.25)
    assert ask(room) == (200, "250")


def test_time_passes_in_a_container_that_is_frozen_between_calls(
    bound: None, clocks: Clocks, elsewhere: SessionManager
) -> None:
    room = open_classroom()
    elsewhere.end_session(room.id)
    clocks.wall.tick(BOUND)
    assert ask(room) == (200, "60000")
    clocks.wall.tick(0.001)
    assert ask(room) == ENDED


def test_a_wall_clock_that_is_set_back_makes_nothing_younger(
    bound: None, clocks: Clocks, elsewhere: SessionManager
) -> None:
    room = open_classroom()
    elsewhere.end_session(room.id)
    clocks.wall.tick(-3600)
    clocks.elapsed += BOUND
    assert ask(room) == (200, "60000")
    clocks.elapsed += 0.001
    assert ask(room) == ENDED


def test_a_stranger_is_refused_without_an_age(bound: None, clocks: Clocks) -> None:
    room = open_classroom()
    clocks.tick(1)
    assert ask(room, "eve") == (403, None)


# An end is seen at once in its own container


def test_ones_own_end_is_seen_at_once(bound: None, clocks: Clocks) -> None:
    room = open_classroom()
    clocks.tick(1)
    assert ask(room) == (200, "1000")
    room.ask("end")
    assert ask(room) == ENDED


def test_an_end_that_came_too_late_is_seen_at_once(bound: None, clocks: Clocks, elsewhere: SessionManager) -> None:
    room = open_classroom()
    elsewhere.end_session(room.id)
    assert room.ask("end").status == 409
    assert ask(room) == ENDED


def test_an_end_that_stands_although_it_failed_is_seen_at_once(bound: None, clocks: Clocks, amid: Amid) -> None:
    def time_out() -> None:
        raise errors.DatabaseTimeoutError

    room = open_classroom()
    amid("update_session", time_out)
    assert room.ask("end").refusal == (503, "database_timeout")
    assert ask(room) == ENDED


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_a_repeated_create_does_not_revive_its_session(
    bound: None, clocks: Clocks, elsewhere: SessionManager, where: str
) -> None:
    room, again = (Classroom(call("create", headers={"idempotency-key": "key"}).body["session"]) for _ in range(2))
    assert room.id == again.id
    (environment.sessions() if where == "here" else elsewhere).end_session(room.id)
    clocks.tick(BOUND + 1)
    assert call("create", headers={"idempotency-key": "key"}).body["session"]["status"] == "active"
    assert ask(room) == ENDED


# Everything else stays exact


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(lambda room: room.ask("get").body["session"]["status"], "ended", id="get"),
        pytest.param(lambda room: call("list").body["sessions"], [], id="list"),
        pytest.param(lambda room: room.store().refusal, (410, "session_ended"), id="store"),
        pytest.param(lambda room: room.ask("end").refusal, (409, "session_already_ended"), id="end"),
        pytest.param(lambda room: room.texts(), ["the last word"], id="history"),
        pytest.param(lambda room: environment.sessions().is_session_active(room.id), False, id="is_session_active"),
    ],
)
def test_every_other_answer_is_exact(
    bound: None, clocks: Clocks, elsewhere: SessionManager, answer: Callable[[Classroom], object], expected: object
) -> None:
    room = open_classroom()
    room.say("the last word")
    elsewhere.end_session(room.id)
    clocks.tick(1)
    assert ask(room) == (200, "1000")
    assert answer(room) == expected


# The setting


@pytest.mark.parametrize("value", ["-1", "soon", "0.5", "3600001"])
def test_a_setting_that_cannot_be_used_is_an_error(
    classroom: Classroom, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    environment.reset()
    assert classroom.ask("validate", user_id="ann", role="student").refusal == (500, "internal_error")
    assert VARIABLE in caplog.text


@pytest.mark.parametrize("changes", [{}, {VARIABLE: "250"}], ids=["by default", "when set"])
def test_the_manifest_passes_the_setting_on_and_browsers_may_read_the_age(
    monkeypatch: pytest.MonkeyPatch, changes: Json
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    manifest = load(ROOT / "serverless.yml", {})
    assert manifest.functions["validate"].environment[VARIABLE] == changes.get(VARIABLE, "0")
    assert manifest.cors is not None
    assert "Switchboard-Status-Age-Ms" in manifest.cors.exposed_headers
