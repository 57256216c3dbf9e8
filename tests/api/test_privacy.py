"""Privacy: a student's history holds what the student sent, what was sent to the student, and broadcasts."""

import pytest

from tests.conftest import BY_STUDENTS, Classroom, call, open_classroom, pages

ANN = {"user_id": "ann", "role": "student"}
BOB = {"user_id": "bob", "role": "student"}
ANNS = [
    "instructor_inbox of ann",
    "request_response of ann",
    "analytics of ann",
    "inbox_response to ann",
    "request to ann",
]
BOBS = [text.replace("ann", "bob") for text in ANNS]


@pytest.fixture
def lesson(classroom: Classroom) -> Classroom:
    """Let everybody say everything that they may."""
    for student in ("ann", "bob"):
        for type_ in BY_STUDENTS:
            classroom.say(f"{type_} of {student}", type_, from_user=student)
        for type_ in ("inbox_response", "request"):
            classroom.say(f"{type_} to {student}", type_, to_user=student)
    classroom.say("to all")
    return classroom


def test_a_student_reads_what_is_the_students_own_and_broadcasts(lesson: Classroom) -> None:
    assert (lesson.texts(**ANN), lesson.texts(**BOB)) == ([*ANNS, "to all"], [*BOBS, "to all"])


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_small_pages_show_a_student_no_more(lesson: Classroom, limit: int) -> None:
    assert lesson.texts(**ANN, limit=limit) == [*ANNS, "to all"]


@pytest.mark.parametrize("user_id", ["ms_noether", "mr_abel", "ann"])
def test_an_instructor_reads_all(lesson: Classroom, user_id: str) -> None:
    assert lesson.texts(user_id=user_id, role="instructor") == [*ANNS, *BOBS, "to all"]


def test_without_user_and_role_all_is_read(lesson: Classroom) -> None:
    assert lesson.texts() == [*ANNS, *BOBS, "to all"]


@pytest.mark.parametrize("user_id", ["stranger", "Ann", "an", "ann_", "ms_noether", "%", "a_n"])
def test_who_is_not_listed_reads_nothing(lesson: Classroom, user_id: str) -> None:
    answer = lesson.ask("history", user_id=user_id, role="student")
    assert (answer.status in (400, 403), "messages" in answer.body) == (True, False)


def test_the_cursor_of_an_instructor_shows_a_student_no_more(lesson: Classroom) -> None:
    cursors = [
        page["next_cursor"] for page in pages("history", lesson.id, user_id="ms_noether", role="instructor", limit=1)
    ]
    answers = [lesson.ask("history", **ANN, cursor=cursor) for cursor in cursors if cursor]
    assert {answer.refusal for answer in answers} == {(400, "invalid_request")}
    assert len(answers) >= 10


def test_the_cursor_of_another_student_shows_no_more(lesson: Classroom) -> None:
    cursors = [page["next_cursor"] for page in pages("history", lesson.id, **BOB, limit=1)]
    answers = [lesson.ask("history", **ANN, cursor=cursor) for cursor in cursors if cursor]
    assert {answer.refusal for answer in answers} == {(400, "invalid_request")}
    assert len(answers) >= 5


def test_the_cursor_of_another_session_shows_nothing_of_it(lesson: Classroom) -> None:
    other = open_classroom()
    other.say("elsewhere 1"), other.say("elsewhere 2")
    cursor = other.ask("history", limit=1).body["next_cursor"]
    assert lesson.ask("history", cursor=cursor).refusal == (400, "invalid_request")


def test_a_student_in_two_sessions_reads_each_apart(lesson: Classroom) -> None:
    other = open_classroom()
    other.say("elsewhere", "request", to_user="ann")
    assert (other.texts(**ANN), "elsewhere" in lesson.texts(**ANN)) == (["elsewhere"], False)


@pytest.mark.parametrize("type_", ["inbox_response", "request"])
def test_a_student_with_an_instructors_id_does_not_read_what_that_instructor_sent_to_others(type_: str) -> None:
    room = open_classroom(instructor_id="kim", student_ids=["kim", "bob"])
    room.say("for bob only", type_, from_user="kim", to_user="bob")
    assert room.texts(user_id="kim", role="student") == []


def test_a_student_with_an_instructors_id_reads_broadcasts() -> None:
    room = open_classroom(instructor_id="kim", student_ids=["kim", "bob"])
    room.say("to all", from_user="kim")
    assert room.texts(user_id="kim", role="student") == ["to all"]


def test_a_student_with_an_instructors_id_reads_what_that_student_sent_and_got() -> None:
    room = open_classroom(instructor_id="kim", student_ids=["kim", "bob"])
    room.say("from the student", "instructor_inbox", from_user="kim")
    room.say("from another", "instructor_inbox", from_user="bob")
    room.say("to the student", "request", from_user="kim", to_user="kim")
    assert room.texts(user_id="kim", role="student") == ["from the student", "to the student"]


def test_what_students_send_to_instructors_stays_between_them() -> None:
    room = open_classroom(instructor_id="kim", student_ids=["kim", "bob"])
    for type_ in BY_STUDENTS:
        room.say("for the instructor only", type_, from_user="bob")
    assert room.texts(user_id="kim", role="student") == []


def test_content_does_not_address_a_message(classroom: Classroom) -> None:
    classroom.store("request", to_user="bob", content={"to_user": "ann", "from_user": "ann", "text": "x"})
    assert classroom.history(**ANN) == []


def test_a_refusal_shows_nothing_of_the_session(lesson: Classroom) -> None:
    answer = lesson.ask("history", user_id="stranger", role="student")
    names = [lesson.session["name"], *lesson.session["student_ids"], lesson.session["created_by"]]
    assert (answer.status, [name for name in names if name in answer.text]) == (403, [])


def test_nobody_reads_the_history_of_a_session_that_is_none() -> None:
    assert call("history", "%", query=ANN).refusal == (404, "session_not_found")
