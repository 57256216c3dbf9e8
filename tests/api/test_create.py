"""`create`: what a new session looks like, and what may go into one."""

import uuid

import pytest

from tests.conftest import Json, call, session_body

EMOJI = "\U0001f600"


def created(**changes: object) -> Json:
    """Create a session, which must succeed."""
    answer = call("create", body=session_body(**changes))
    assert answer.status == 201, answer.text
    session: Json = answer.body["session"]
    return session


def refusal(**changes: object) -> tuple[int, object]:
    """Create a session, and return how that was refused."""
    return call("create", body=session_body(**changes)).refusal


def test_the_answer_holds_the_session_and_nothing_else() -> None:
    assert call("create").body.keys() == {"session"}


def test_a_session_has_the_fields_that_the_clients_read() -> None:
    assert created().keys() == {
        "id",
        "name",
        "created_by",
        "student_ids",
        "start_time",
        "end_time",
        "status",
    }


def test_name_creator_and_students_are_those_of_the_request() -> None:
    session = created(name="Algebra", instructor_id="mr_abel", student_ids=["zoe", "ann"])
    assert (session["name"], session["created_by"], session["student_ids"]) == (
        "Algebra",
        "mr_abel",
        ["zoe", "ann"],
    )


def test_a_new_session_is_active_and_has_no_end() -> None:
    session = created()
    assert (session["status"], session["end_time"]) == ("active", None)


def test_the_id_is_a_uuid() -> None:
    session_id = created()["id"]
    assert str(uuid.UUID(session_id)) == session_id


def test_every_session_has_an_id_of_its_own() -> None:
    assert len({created()["id"] for _ in range(20)}) == 20


def test_location_leads_to_the_session() -> None:
    answer = call("create")
    assert answer.headers["location"].endswith(f"/api/sessions/{answer.body['session']['id']}")


def test_the_answer_is_json() -> None:
    assert call("create").headers["content-type"].startswith("application/json")


def test_a_body_in_base64_is_read() -> None:
    answer = call("create", body='{"name": "Géométrie", "instructor_id": "i", "student_ids": ["s"]}'.encode())
    assert answer.body["session"]["name"] == "Géométrie"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("A", id="one character"),
        pytest.param("a" * 199, id="199 characters"),
        pytest.param("a" * 200, id="200 characters"),
        pytest.param(EMOJI * 199, id="199 characters of four bytes"),
        pytest.param(EMOJI * 200, id="200 characters of four bytes"),
        pytest.param("é" * 200, id="200 characters of two bytes"),
        pytest.param("e\u0301" * 100, id="200 code points that show as 100"),
        pytest.param("  Algebra  ", id="spaces around"),
        pytest.param('<b>"O\'Hara"</b> %00 \\n; --', id="punctuation"),
    ],
)
def test_a_name_is_kept_as_given(name: str) -> None:
    assert created(name=name)["name"] == name


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param(" ", id="blank"),
        pytest.param("\u2003\u3000", id="blank beyond ASCII"),
        pytest.param("a" * 201, id="201 characters"),
        pytest.param(EMOJI * 201, id="201 characters of four bytes"),
        pytest.param("e\u0301" * 100 + "e", id="201 code points that show as 101"),
        pytest.param("a" * 200 + " ", id="201 characters, the last a space"),
        pytest.param("Algebra\n", id="trailing newline"),
        pytest.param("Alge\tbra", id="tab"),
        pytest.param("Alge\0bra", id="NUL"),
        pytest.param("\x1b[31mAlgebra", id="escape"),
        pytest.param("Algebra\x7f", id="delete"),
        pytest.param("Alge\u2028bra", id="line separator"),
    ],
)
def test_a_name_beyond_the_rules_is_refused(name: str) -> None:
    assert refusal(name=name) == (400, "invalid_session_name")


GOOD_USER_IDS = [
    pytest.param("a", id="one character"),
    pytest.param("x" * 49, id="49 characters"),
    pytest.param("x" * 50, id="50 characters"),
    pytest.param("AZaz09_-", id="every kind of character"),
    pytest.param("-", id="a dash alone"),
    pytest.param("007", id="digits alone"),
]
BAD_USER_IDS = [
    pytest.param("", id="empty"),
    pytest.param("x" * 51, id="51 characters"),
    pytest.param("ann\n", id="trailing newline"),
    pytest.param("\nann", id="leading newline"),
    pytest.param("an n", id="space"),
    pytest.param("ann.b", id="dot"),
    pytest.param("ann@example.org", id="mail address"),
    pytest.param("ann/bob", id="slash"),
    pytest.param("ann%20", id="percent"),
    pytest.param("ann\0", id="NUL"),
    pytest.param("é", id="letter beyond ASCII"),
    pytest.param("\u0663", id="digit beyond ASCII"),
    pytest.param("\uff41nn", id="full-width letter"),
    pytest.param("' OR 1=1 --", id="SQL"),
]


@pytest.mark.parametrize("user_id", GOOD_USER_IDS)
def test_a_creator_within_the_rules_is_kept(user_id: str) -> None:
    assert created(instructor_id=user_id)["created_by"] == user_id


@pytest.mark.parametrize("user_id", BAD_USER_IDS)
def test_a_creator_beyond_the_rules_is_refused(user_id: str) -> None:
    assert refusal(instructor_id=user_id) == (400, "invalid_created_by")


@pytest.mark.parametrize("user_id", GOOD_USER_IDS)
def test_a_student_within_the_rules_is_kept(user_id: str) -> None:
    assert created(student_ids=[user_id])["student_ids"] == [user_id]


@pytest.mark.parametrize("user_id", BAD_USER_IDS)
def test_a_student_beyond_the_rules_is_refused(user_id: str) -> None:
    assert refusal(student_ids=["ann", user_id]) == (400, "invalid_student_id")


def test_the_problem_says_which_student_is_wrong() -> None:
    answer = call("create", body=session_body(student_ids=["ann", "bob.b", "cid"]))
    assert "bob.b" in answer.detail


def test_a_session_needs_a_student() -> None:
    assert refusal(student_ids=[]) == (400, "empty_student_list")


def test_a_session_may_have_very_many_students_where_the_setting_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_MAX_STUDENTS", "10000")
    students = [f"student-{number}" for number in range(2000)]
    assert created(student_ids=students)["student_ids"] == students


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param(["ann", "ann"], ["ann"], id="one student twice"),
        pytest.param(["bob", "ann", "bob", "cid", "ann"], ["bob", "ann", "cid"], id="first occurrence kept"),
        pytest.param(["ann", "Ann", "ANN"], ["ann", "Ann", "ANN"], id="other case is another student"),
    ],
)
def test_duplicate_students_are_removed_and_order_is_kept(given: list[str], kept: list[str]) -> None:
    assert created(student_ids=given)["student_ids"] == kept


def test_duplicates_stay_removed_in_what_is_read_later() -> None:
    session = created(student_ids=["bob", "ann", "bob"])
    assert call("get", session["id"]).body["session"]["student_ids"] == ["bob", "ann"]


WRONG_SHAPE = {"name": 7}
WRONG_NAME = {"name": ""}
WRONG_CREATOR = {"instructor_id": "ms noether"}
NO_STUDENT: Json = {"student_ids": []}
WRONG_STUDENT = {"student_ids": ["ann", ""]}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param(WRONG_SHAPE | WRONG_CREATOR | WRONG_STUDENT, "invalid_request", id="shape before all"),
        pytest.param(WRONG_NAME | {"extra": 1}, "invalid_request", id="unknown field before name"),
        pytest.param(WRONG_NAME | {"student_ids": [1]}, "invalid_request", id="shape of a student before name"),
        pytest.param(WRONG_NAME | WRONG_CREATOR, "invalid_session_name", id="name before creator"),
        pytest.param(WRONG_NAME | NO_STUDENT, "invalid_session_name", id="name before empty list"),
        pytest.param(WRONG_NAME | WRONG_STUDENT, "invalid_session_name", id="name before student"),
        pytest.param(WRONG_CREATOR | NO_STUDENT, "invalid_created_by", id="creator before empty list"),
        pytest.param(WRONG_CREATOR | WRONG_STUDENT, "invalid_created_by", id="creator before student"),
    ],
)
def test_order_of_checks(changes: Json, code: str) -> None:
    assert refusal(**changes) == (400, code)


def test_the_first_wrong_student_is_the_one_named() -> None:
    answer = call("create", body=session_body(student_ids=["ann", "first.wrong", "second.wrong"]))
    assert "first.wrong" in answer.detail


@pytest.mark.parametrize("changes", [WRONG_SHAPE, WRONG_NAME, WRONG_CREATOR, NO_STUDENT, WRONG_STUDENT])
def test_a_refused_session_does_not_come_to_be(changes: Json) -> None:
    refused = call("create", body=session_body(**changes))
    assert (refused.status, call("list", query={"status": "all"}).body["total_count"]) == (400, 0)


STUDENTS = [f"student-{number}" for number in range(1001)]


def test_a_session_has_at_most_1000_students() -> None:
    answer = call("create", body=session_body(student_ids=STUDENTS))
    assert (answer.refusal, "student_ids" in answer.detail, "1000" in answer.detail) == (
        (400, "invalid_request"),
        True,
        True,
    )


def test_the_students_are_counted_without_duplicates() -> None:
    assert created(student_ids=STUDENTS[:1000] * 2)["student_ids"] == STUDENTS[:1000]
