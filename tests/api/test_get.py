"""`get`: one session by its id, active or ended."""

from shared import environment
from tests.conftest import NOBODYS_ID, Classroom, call, open_classroom


def test_an_active_session_is_what_create_answered(classroom: Classroom) -> None:
    answer = classroom.ask("get")
    assert (answer.status, answer.body) == (200, {"session": classroom.session, "connection_count": 0})


def test_an_ended_session_is_what_end_answered(classroom: Classroom) -> None:
    ended = classroom.ask("end").body["session"]
    answer = classroom.ask("get")
    assert (answer.status, answer.body) == (200, {"session": ended, "connection_count": 0})


def test_a_session_is_found_after_a_cold_start(classroom: Classroom) -> None:
    environment.reset()
    assert classroom.ask("get").body == {"session": classroom.session, "connection_count": 0}


def test_an_ended_session_is_found_after_a_cold_start(classroom: Classroom) -> None:
    ended = classroom.ask("end").body["session"]
    environment.reset()
    assert classroom.ask("get").body == {"session": ended, "connection_count": 0}


def test_each_id_finds_its_own_session() -> None:
    first, second = open_classroom(name="First"), open_classroom(name="Second")
    assert [room.ask("get").body["session"]["name"] for room in (first, second)] == ["First", "Second"]


def test_an_id_that_no_session_has_is_not_found(classroom: Classroom) -> None:
    assert call("get", NOBODYS_ID).refusal == (404, "session_not_found")


def test_the_answer_is_json(classroom: Classroom) -> None:
    assert classroom.ask("get").headers["content-type"].startswith("application/json")
