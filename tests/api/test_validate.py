"""`validate`: who may join a session."""

import pytest

from shared import environment
from tests.conftest import NOBODYS_ID, Classroom, Json, call, open_classroom

MEMBER = {"user_id": "ann", "role": "student"}
STRANGER = {"user_id": "stranger", "role": "student"}
INSTRUCTOR = {"user_id": "ms_noether", "role": "instructor"}


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(MEMBER, id="student of the session"),
        pytest.param({"user_id": "bob", "role": "student"}, id="its last student"),
        pytest.param(INSTRUCTOR, id="its instructor"),
        pytest.param({"user_id": "mr_abel", "role": "instructor"}, id="any other instructor"),
    ],
)
def test_who_may_join(classroom: Classroom, query: Json) -> None:
    answer = classroom.ask("validate", **query)
    assert (answer.status, answer.body) == (200, {"valid": True, "session_id": classroom.id, **query})


@pytest.mark.parametrize("user_id", ["stranger", "ms_noether", "Ann", "an", "anna", "a_n"], ids=lambda user_id: user_id)
def test_a_student_who_is_not_listed_may_not(classroom: Classroom, user_id: str) -> None:
    assert classroom.ask("validate", user_id=user_id, role="student").refusal == (403, "unauthorized")


def test_a_student_of_another_session_may_not(classroom: Classroom) -> None:
    open_classroom(student_ids=["cid"])
    assert classroom.ask("validate", user_id="cid", role="student").refusal == (403, "unauthorized")


def test_the_answer_is_the_same_again(classroom: Classroom) -> None:
    assert [classroom.ask("validate", **query).status for query in [MEMBER, STRANGER] * 3] == [200, 403] * 3


def test_the_roster_is_known_after_a_cold_start(classroom: Classroom) -> None:
    environment.reset()
    assert [classroom.ask("validate", **query).status for query in (MEMBER, STRANGER)] == [200, 403]


def test_a_session_of_nobody_is_not_found(classroom: Classroom) -> None:
    assert call("validate", NOBODYS_ID, query=MEMBER).refusal == (404, "session_not_found")


@pytest.mark.parametrize(
    "role", ["", "teacher", "Student", "INSTRUCTOR", "student ", "student,instructor", "student\n"]
)
def test_any_other_role_is_refused(classroom: Classroom, role: str) -> None:
    assert classroom.ask("validate", user_id="ann", role=role).refusal == (400, "invalid_role")


@pytest.mark.parametrize("user_id", ["a", "x" * 49, "x" * 50, "AZaz09_-"], ids=len)
def test_a_user_id_within_the_rules_is_accepted(user_id: str) -> None:
    room = open_classroom(student_ids=[user_id])
    assert room.ask("validate", user_id=user_id, role="student").body["user_id"] == user_id


@pytest.mark.parametrize(
    "user_id",
    ["", "x" * 51, "ann\n", " ann", "an n", "ann,bob", "ann%0A", "ann\0", "\u00e9", "\u0663", "ann/", "a'--"],
)
@pytest.mark.parametrize("role", ["student", "instructor"])
def test_a_user_id_beyond_the_rules_is_refused(classroom: Classroom, user_id: str, role: str) -> None:
    assert classroom.ask("validate", user_id=user_id, role=role).refusal == (400, "invalid_user_id")


@pytest.mark.parametrize("missing", ["user_id", "role"])
def test_both_must_be_given(classroom: Classroom, missing: str) -> None:
    answer = classroom.ask("validate", **{key: value for key, value in MEMBER.items() if key != missing})
    assert (answer.refusal, missing in answer.detail) == ((400, "invalid_request"), True)


def test_without_any_query_both_are_missing(classroom: Classroom) -> None:
    assert classroom.ask("validate").refusal == (400, "invalid_request")


@pytest.mark.parametrize(
    ("query", "code"),
    [({"user_id": "an n"}, "invalid_user_id"), ({"role": "teacher"}, "invalid_role")],
)
def test_form_is_checked_before_existence(query: Json, code: str) -> None:
    assert call("validate", NOBODYS_ID, query=MEMBER | query).refusal == (400, code)


def test_form_is_checked_before_the_end(classroom: Classroom) -> None:
    classroom.ask("end")
    assert classroom.ask("validate", user_id="ann", role="teacher").refusal == (400, "invalid_role")


def test_existence_is_checked_before_membership() -> None:
    assert call("validate", NOBODYS_ID, query=STRANGER).refusal == (404, "session_not_found")


def test_the_end_is_checked_before_membership(classroom: Classroom) -> None:
    classroom.ask("end")
    assert classroom.ask("validate", **STRANGER).refusal == (410, "session_ended")


def test_an_ended_session_is_ended_and_not_missing_after_a_cold_start(classroom: Classroom) -> None:
    classroom.ask("end")
    environment.reset()
    assert classroom.ask("validate", **MEMBER).refusal == (410, "session_ended")


def test_an_instructor_with_a_students_id_may_join_as_either() -> None:
    room = open_classroom(instructor_id="ann", student_ids=["ann"])
    assert [room.ask("validate", user_id="ann", role=role).status for role in ("student", "instructor")] == [200, 200]
