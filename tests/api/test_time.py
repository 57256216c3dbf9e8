"""Time: set by the server, written in one form, and never running backwards where it matters."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from shared import environment
from tests.conftest import Classroom, Freeze, at_once, call, counted, open_classroom

FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

INSTANTS = [
    pytest.param("2026-11-22 07:24:11", "2026-11-22T07:24:11.000000Z", id="zero microseconds"),
    pytest.param("2026-11-22 07:24:11.123456", "2026-11-22T07:24:11.123456Z", id="microseconds"),
    pytest.param("2026-11-22 07:24:11.000001", "2026-11-22T07:24:11.000001Z", id="one microsecond"),
    pytest.param("2026-11-22 07:24:11.999999", "2026-11-22T07:24:11.999999Z", id="the last microsecond"),
    pytest.param("2026-11-22 07:24:11.120000", "2026-11-22T07:24:11.120000Z", id="trailing zeros"),
    pytest.param("2028-02-29 00:00:00", "2028-02-29T00:00:00.000000Z", id="leap day"),
    pytest.param("2026-12-31 23:59:59.5", "2026-12-31T23:59:59.500000Z", id="end of the year"),
]


@pytest.mark.parametrize(("instant", "written"), INSTANTS)
def test_the_start_is_the_servers_clock(freeze: Freeze, instant: str, written: str) -> None:
    freeze(instant)
    assert open_classroom().session["start_time"] == written


@pytest.mark.parametrize(("instant", "written"), INSTANTS)
def test_the_end_is_the_servers_clock(freeze: Freeze, instant: str, written: str) -> None:
    freeze(instant)
    assert open_classroom().ask("end").body["session"]["end_time"] == written


@pytest.mark.parametrize(("instant", "written"), INSTANTS)
def test_a_message_has_the_servers_time(freeze: Freeze, instant: str, written: str) -> None:
    freeze(instant)
    assert open_classroom().say("hello")["timestamp"] == written


@pytest.mark.parametrize(("instant", "written"), INSTANTS)
def test_health_has_the_servers_time(freeze: Freeze, instant: str, written: str) -> None:
    freeze(instant)
    assert call("health").body["timestamp"] == written


@pytest.mark.parametrize(("instant", "written"), INSTANTS)
def test_times_are_read_back_as_written(freeze: Freeze, instant: str, written: str) -> None:
    freeze(instant)
    room = open_classroom()
    room.ask("end")
    environment.reset()
    read = room.ask("get").body["session"]
    assert (read["start_time"], read["end_time"]) == (written, written)


def test_a_list_has_the_times_that_get_has(freeze: Freeze) -> None:
    freeze("2026-11-22 07:24:11")
    room = open_classroom()
    room.ask("end")
    listed = call("list", query={"status": "ended"}).body["sessions"]
    assert listed == [counted(room.ask("get").body["session"])]


def test_a_running_clock_gives_times_of_the_same_form(classroom: Classroom) -> None:
    message = classroom.say("hello")
    ended = classroom.ask("end").body["session"]
    times = [ended["start_time"], ended["end_time"], message["timestamp"], call("health").body["timestamp"]]
    assert all(FORM.fullmatch(written) for written in times)


@pytest.fixture
def far_zone() -> Iterator[None]:
    """Set the machine's time zone to eleven hours ahead of UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "XXX-11")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_zone")
def test_times_are_utc_whatever_the_machines_zone() -> None:
    before = datetime.now(UTC)
    started = datetime.fromisoformat(open_classroom().session["start_time"])
    assert before <= started <= datetime.now(UTC)


def test_while_the_clock_stands_the_end_equals_the_start(freeze: Freeze) -> None:
    freeze("2026-11-22 07:24:11.5")
    ended = open_classroom().ask("end").body["session"]
    assert ended["end_time"] == ended["start_time"]


def test_a_session_lasts_as_long_as_the_clock_went_on(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 07:24:11.25")
    room = open_classroom()
    clock.tick(45 * 60)
    assert room.ask("end").body["session"]["end_time"] == "2026-11-22T08:09:11.250000Z"


def test_a_microsecond_is_enough_to_end_later(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 07:24:11.000001")
    room = open_classroom()
    clock.move_to("2026-11-22 07:24:11.000002")
    assert room.ask("end").body["session"]["end_time"] == "2026-11-22T07:24:11.000002Z"


def test_under_a_ticking_clock_the_end_is_not_before_the_start(freeze: Freeze) -> None:
    freeze("2026-11-22 07:24:11", tick=True)
    ended = open_classroom().ask("end").body["session"]
    assert "2026-11-22T07:24:11" <= ended["start_time"] <= ended["end_time"] < "2026-11-22T08"


@pytest.mark.parametrize("earlier", ["2026-11-22 07:24:11.499999", "2026-11-22 07:00:00", "2025-01-01 00:00:00"])
def test_the_end_is_not_before_the_start_when_the_clock_stepped_back(freeze: Freeze, earlier: str) -> None:
    clock = freeze("2026-11-22 07:24:11.5")
    room = open_classroom()
    clock.move_to(earlier)
    ended = room.ask("end").body["session"]
    assert ended["end_time"] >= ended["start_time"]


def test_the_end_is_not_before_the_last_message_when_the_clock_stepped_back(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 12:00:00")
    room = open_classroom()
    clock.move_to("2026-11-22 13:00:00")
    room.say("hello")
    clock.move_to("2026-11-22 12:30:00")
    ended = room.ask("end").body["session"]
    assert (ended["end_time"], room.ask("get").body["session"]) == ("2026-11-22T13:00:00.000000Z", ended)


def test_an_end_after_a_step_back_is_read_as_it_was_answered(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 07:24:11.5")
    room = open_classroom()
    clock.move_to("2026-11-22 07:00:00")
    ended = room.ask("end").body["session"]
    assert room.ask("get").body["session"] == ended


def test_a_session_that_ended_after_a_step_back_has_ended(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 07:24:11.5")
    room = open_classroom()
    clock.move_to("2026-11-22 07:00:00")
    room.ask("end")
    assert (room.store().status, room.ask("validate", user_id="ann", role="student").status) == (410, 410)


def test_a_later_end_does_not_move_the_end(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 07:24:11")
    room = open_classroom()
    room.ask("end")
    clock.tick(60)
    refused = room.ask("end")
    assert "2026-11-22T07:24:11.000000Z" in refused.text


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_no_message_is_earlier_than_its_predecessor(freeze: Freeze, cold: bool) -> None:
    clock = freeze("2026-11-22 08:00:00.000001")
    room = open_classroom()
    for instant in ("08:00:01", "07:59:00.5", "08:00:00.999999", "08:00:01", "06:00:00", "08:00:02"):
        clock.move_to(f"2026-11-22 {instant}")
        if cold:
            environment.reset()
        room.say(instant)
    times = [message["timestamp"] for message in room.history()]
    assert all(former <= latter for former, latter in pairwise(times))


def test_messages_keep_their_order_when_the_clock_steps_back(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    room = open_classroom()
    for number, hour in enumerate((8, 7, 9, 6, 9, 5)):
        clock.move_to(f"2026-11-22 {hour:02}:00:00")
        room.say(str(number))
    assert room.texts() == ["0", "1", "2", "3", "4", "5"]


def test_the_answer_of_store_has_the_time_that_history_has(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    room = open_classroom()
    room.say("first")
    clock.move_to("2026-11-22 07:00:00")
    second = room.say("second")
    assert room.history()[1] == second


def test_threads_write_while_the_clock_stands(freeze: Freeze) -> None:
    freeze("2026-11-22 08:00:00.123456")
    room = open_classroom()
    at_once(8, lambda writer: [room.say(f"{writer}-{number}") for number in range(10)])
    assert [message["timestamp"] for message in room.history()] == ["2026-11-22T08:00:00.123456Z"] * 80


def test_each_threads_messages_keep_their_order_while_the_clock_stands(freeze: Freeze) -> None:
    freeze("2026-11-22 08:00:00")
    room = open_classroom()
    at_once(8, lambda writer: [room.say(f"{writer}-{number}") for number in range(10)])
    by_writer = sorted(room.texts(), key=lambda text: text.partition("-")[0])
    assert by_writer == [f"{writer}-{number}" for writer in range(8) for number in range(10)]


def test_threads_open_and_end_sessions_while_the_clock_stands(freeze: Freeze) -> None:
    freeze("2026-11-22 08:00:00.5")
    ended = at_once(8, lambda _: open_classroom().ask("end").body["session"])
    assert {(session["start_time"], session["end_time"]) for session in ended} == {
        ("2026-11-22T08:00:00.500000Z", "2026-11-22T08:00:00.500000Z")
    }


def test_threads_write_while_the_clock_steps_back(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    room = open_classroom()

    def write(writer: int) -> None:
        for number in range(10):
            clock.move_to(f"2026-11-22 07:{59 - writer}:{59 - number}")
            room.say("hello")

    at_once(8, write)
    times = [message["timestamp"] for message in room.history()]
    assert (len(times), times) == (80, sorted(times))
