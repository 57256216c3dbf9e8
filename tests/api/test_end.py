"""`end`: the only way in which a session ends, and what it changes for everybody else."""

import pytest

from shared import environment
from tests.conftest import NOBODYS_ID, Classroom, Json, call, counted, open_classroom

STUDENT = {"user_id": "ann", "role": "student"}


def test_the_answer_says_so(classroom: Classroom) -> None:
    answer = classroom.ask("end")
    assert (answer.status, answer.body["message"]) == (200, "Session ended successfully")


def test_only_status_and_end_time_change(classroom: Classroom) -> None:
    ended = classroom.ask("end").body["session"]
    assert ended == classroom.session | {"status": "ended", "end_time": ended["end_time"]}


def test_an_ended_session_has_an_end_time(classroom: Classroom) -> None:
    assert isinstance(classroom.ask("end").body["session"]["end_time"], str)


def test_the_end_is_not_before_the_start(classroom: Classroom) -> None:
    ended = classroom.ask("end").body["session"]
    assert ended["end_time"] >= ended["start_time"]


def test_a_session_ends_once(classroom: Classroom) -> None:
    classroom.ask("end")
    assert classroom.ask("end").refusal == (409, "session_already_ended")


def test_the_second_end_tells_the_end_time_that_stands(classroom: Classroom) -> None:
    end_time = classroom.ask("end").body["session"]["end_time"]
    assert end_time in classroom.ask("end").text


def test_the_second_end_changes_nothing(classroom: Classroom) -> None:
    ended = classroom.ask("end").body["session"]
    classroom.ask("end")
    assert classroom.ask("get").body["session"] == ended


def test_a_session_stays_ended_after_a_cold_start(classroom: Classroom) -> None:
    classroom.ask("end")
    environment.reset()
    assert classroom.ask("end").refusal == (409, "session_already_ended")


def test_a_session_ends_from_a_cold_environment(classroom: Classroom) -> None:
    environment.reset()
    assert classroom.ask("end").body["session"]["status"] == "ended"


def test_nobodys_session_is_not_found(classroom: Classroom) -> None:
    assert call("end", NOBODYS_ID).refusal == (404, "session_not_found")


def test_other_sessions_go_on(classroom: Classroom) -> None:
    other = open_classroom()
    classroom.ask("end")
    assert other.ask("get").body["session"] == other.session


@pytest.mark.parametrize(
    "query",
    [STUDENT, {"user_id": "stranger", "role": "student"}, {"user_id": "ms_noether", "role": "instructor"}],
    ids=["member", "stranger", "instructor"],
)
def test_nobody_gets_in_afterwards(classroom: Classroom, query: Json) -> None:
    classroom.ask("end")
    assert classroom.ask("validate", **query).refusal == (410, "session_ended")


def test_a_warm_cache_does_not_let_anybody_in_afterwards(classroom: Classroom) -> None:
    before = classroom.ask("validate", **STUDENT).status
    classroom.ask("end")
    assert (before, classroom.ask("validate", **STUDENT).status) == (200, 410)


def test_no_message_lands_afterwards(classroom: Classroom) -> None:
    classroom.ask("end")
    assert classroom.store().refusal == (410, "session_ended")


def test_a_refused_message_is_not_in_the_history(classroom: Classroom) -> None:
    classroom.say("before")
    classroom.ask("end")
    classroom.store(content={"text": "after"})
    assert classroom.texts() == ["before"]


def test_an_ended_session_leaves_the_active_ones(classroom: Classroom) -> None:
    classroom.ask("end")
    assert call("list").body["sessions"] == []


def test_an_ended_session_joins_the_ended_ones(classroom: Classroom) -> None:
    ended = classroom.ask("end").body["session"]
    assert call("list", query={"status": "ended"}).body["sessions"] == [counted(ended)]
