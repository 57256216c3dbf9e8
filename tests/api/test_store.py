"""`store`: which messages are accepted, from which senders, to which recipients, up to which size."""

import json

import pytest

from shared import environment
from tests.conftest import (
    BY_INSTRUCTORS,
    BY_STUDENTS,
    MESSAGE_TYPES,
    NOBODYS_ID,
    TO_ONE_STUDENT,
    Answer,
    Classroom,
    Json,
    call,
    message_body,
    open_classroom,
)

LIMIT = 65_536
EMPTY = len('{"text":""}')
TO_ALL = [type_ for type_ in MESSAGE_TYPES if type_ not in TO_ONE_STUDENT]


@pytest.mark.parametrize("type_", MESSAGE_TYPES)
def test_every_type_is_accepted_from_its_sender(classroom: Classroom, type_: str) -> None:
    answer = classroom.store(type_)
    assert (answer.status, answer.body["message"]["type"]) == (201, type_)


def test_the_answer_holds_the_message_and_nothing_else(classroom: Classroom) -> None:
    assert classroom.store().body.keys() == {"message"}


def test_a_message_has_the_fields_that_the_clients_read(classroom: Classroom) -> None:
    assert classroom.store().body["message"].keys() == {
        "id",
        "session_id",
        "type",
        "context",
        "from_user",
        "to_user",
        "content",
        "timestamp",
    }


def test_a_message_is_kept_as_sent(classroom: Classroom) -> None:
    sent = {"type": "request", "context": "q-1", "from_user": "ms_noether", "to_user": "bob", "content": {"n": [1]}}
    stored = call("store", classroom.id, body=sent | {"role": "instructor"}).body["message"]
    assert {key: stored[key] for key in sent} == sent


def test_a_message_belongs_to_its_session(classroom: Classroom) -> None:
    open_classroom()
    assert classroom.say("hello")["session_id"] == classroom.id


def test_every_message_has_an_id_of_its_own(classroom: Classroom) -> None:
    assert len({classroom.say("hello")["id"] for _ in range(20)}) == 20


@pytest.mark.parametrize("type_", TO_ALL)
def test_a_message_to_nobody_in_particular_has_no_recipient(classroom: Classroom, type_: str) -> None:
    assert classroom.say("hello", type_)["to_user"] is None


@pytest.mark.parametrize("type_", TO_ONE_STUDENT)
def test_a_message_to_one_student_names_the_recipient(classroom: Classroom, type_: str) -> None:
    assert classroom.say("hello", type_, to_user="bob")["to_user"] == "bob"


def test_the_history_holds_what_store_answered(classroom: Classroom) -> None:
    stored = [classroom.say("hello", type_) for type_ in MESSAGE_TYPES]
    assert classroom.history() == stored


def test_a_message_is_stored_from_a_cold_environment(classroom: Classroom) -> None:
    environment.reset()
    assert classroom.store().status == 201


# Type, role and sender


@pytest.mark.parametrize("type_", ["", "broadcast", "Request", "request ", "request\n", "instructor_inbox,request"])
def test_any_other_type_is_refused(classroom: Classroom, type_: str) -> None:
    assert classroom.store(type=type_).refusal == (400, "invalid_message_type")


@pytest.mark.parametrize("type_", MESSAGE_TYPES)
def test_a_type_of_the_other_role_is_refused(classroom: Classroom, type_: str) -> None:
    other = {"role": "student", "from_user": "ann"}
    if type_ in BY_STUDENTS:
        other = {"role": "instructor", "from_user": "ms_noether"}
    assert classroom.store(type_, **other).status in (400, 403)


@pytest.mark.parametrize("type_", BY_INSTRUCTORS)
def test_an_instructor_of_another_session_may_send(classroom: Classroom, type_: str) -> None:
    assert classroom.store(type_, from_user="mr_abel").status == 201


@pytest.mark.parametrize("type_", BY_STUDENTS)
@pytest.mark.parametrize("sender", ["stranger", "ms_noether", "Ann"])
def test_a_student_who_is_not_listed_may_not_send(classroom: Classroom, type_: str, sender: str) -> None:
    assert classroom.store(type_, from_user=sender).refusal == (403, "unauthorized")


@pytest.mark.parametrize("role", ["", "teacher", "Student", "student\n"])
def test_any_other_role_is_refused(classroom: Classroom, role: str) -> None:
    assert classroom.store(role=role).refusal == (400, "invalid_role")


@pytest.mark.parametrize("sender", ["", "x" * 51, "ms_noether\n", "ms noether", "\u00e9", "ms_noether\0"])
def test_a_sender_beyond_the_rules_is_refused(classroom: Classroom, sender: str) -> None:
    assert classroom.store(from_user=sender).refusal == (400, "invalid_user_id")


# Recipient


@pytest.mark.parametrize("type_", TO_ONE_STUDENT)
def test_a_message_to_one_student_needs_a_recipient(classroom: Classroom, type_: str) -> None:
    body = message_body(type_)
    del body["to_user"]
    assert call("store", classroom.id, body=body).refusal == (400, "invalid_recipient")


@pytest.mark.parametrize("type_", TO_ONE_STUDENT)
@pytest.mark.parametrize("recipient", ["stranger", "ms_noether", "Ann", "a_n"])
def test_the_recipient_must_be_a_student_of_the_session(classroom: Classroom, type_: str, recipient: str) -> None:
    assert classroom.store(type_, to_user=recipient).refusal == (400, "invalid_recipient")


@pytest.mark.parametrize("type_", TO_ALL)
def test_the_other_types_must_not_have_a_recipient(classroom: Classroom, type_: str) -> None:
    assert classroom.store(type_, to_user="bob").refusal == (400, "invalid_recipient")


@pytest.mark.parametrize("recipient", ["x" * 51, "ann\n", "an n", "\u00e9"])
def test_a_recipient_beyond_the_rules_is_refused(classroom: Classroom, recipient: str) -> None:
    assert classroom.store("request", to_user=recipient).status == 400


# Context


@pytest.mark.parametrize("changes", [{}, {"context": ""}], ids=["missing", "empty"])
def test_the_context_is_general_unless_told(classroom: Classroom, changes: Json) -> None:
    assert classroom.store(**changes).body["message"]["context"] == "general"


@pytest.mark.parametrize("context", ["a", "x" * 49, "x" * 50, "AZaz09_-"], ids=len)
def test_a_context_within_the_rules_is_kept(classroom: Classroom, context: str) -> None:
    assert classroom.store(context=context).body["message"]["context"] == context


@pytest.mark.parametrize("context", ["x" * 51, " ", "general\n", "a b", "a.b", "\u00e9", "a\0"])
def test_a_context_beyond_the_rules_is_refused(classroom: Classroom, context: str) -> None:
    assert classroom.store(context=context).refusal == (400, "invalid_context")


# Content


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({}, id="empty"),
        pytest.param({"a": [1, -2.5, True, False, None, "x", {"b": []}]}, id="every kind of value"),
        pytest.param({"": {"": ""}}, id="empty keys"),
        pytest.param({"text": '\U0001f600 \u00e9 \u4e2d \u2028 \0 \x7f \\ " / <script>'}, id="every kind of text"),
        pytest.param({"n": 9007199254740993}, id="a whole number that no float holds"),
        pytest.param({"session_id": "x", "to_user": "bob", "type": "y"}, id="fields that are none"),
        pytest.param({"x": "'); DROP TABLE messages; --"}, id="SQL"),
    ],
)
def test_content_comes_back_as_it_went_in(classroom: Classroom, content: Json) -> None:
    classroom.store(content=content)
    assert classroom.history()[0]["content"] == content


@pytest.mark.parametrize("content", ["text", 1, True, None, [], [{}]], ids=json.dumps)
def test_content_must_be_an_object(classroom: Classroom, content: object) -> None:
    answer = classroom.store(content=content)
    assert (answer.status, "content" in answer.detail) == (400, True)


def store_raw(room: Classroom, content: str) -> Answer:
    """Store a broadcast whose content is this JSON text, unchanged."""
    return call(
        "store", room.id, body=json.dumps(message_body(content=0)).replace('"content": 0', f'"content": {content}')
    )


@pytest.mark.parametrize(
    ("character", "size"),
    [
        pytest.param("x", 1, id="plain"),
        pytest.param("\u00e9", 2, id="two bytes"),
        pytest.param("\u4e2d", 3, id="three bytes"),
        pytest.param("\U0001f600", 4, id="four bytes"),
        pytest.param(r"\u0078", 1, id="escaped, plain"),
        pytest.param(r"\u00e9", 2, id="escaped, two bytes"),
        pytest.param(r"\u4e2d", 3, id="escaped, three bytes"),
        pytest.param(r"\ud83d\ude00", 4, id="escaped as a surrogate pair, four bytes"),
        pytest.param(r"\/", 1, id="escaped slash"),
        pytest.param(r"\"", 2, id="quote, which stays escaped"),
        pytest.param(r"\\", 2, id="backslash, which stays escaped"),
        pytest.param(r"\n", 2, id="newline, which stays escaped"),
        pytest.param(r"\u000a", 2, id="newline, which gets its short escape"),
        pytest.param(r"\u0001", 6, id="control character, which stays escaped"),
    ],
)
@pytest.mark.parametrize(("over", "status"), [(-1, 201), (0, 201), (1, 413)], ids=["below", "at", "above"])
def test_content_is_measured_as_compact_utf_8(
    classroom: Classroom, character: str, size: int, over: int, status: int
) -> None:
    times, rest = divmod(LIMIT - EMPTY + over, size)
    text = character * times + "x" * rest
    assert store_raw(classroom, f'{{"text":"{text}"}}').status == status


def test_keys_count_too(classroom: Classroom) -> None:
    sizes = [LIMIT - len('{"":0}') + over for over in (0, 1)]
    assert [store_raw(classroom, f'{{"{"k" * size}":0}}').status for size in sizes] == [201, 413]


def test_white_space_between_values_does_not_count(classroom: Classroom) -> None:
    text = "x" * (LIMIT - EMPTY)
    assert store_raw(classroom, f'{" " * LIMIT}{{ \n\t"text" :\r "{text}"{" " * LIMIT}}}').status == 201


def test_white_space_within_values_counts(classroom: Classroom) -> None:
    text = " " * (LIMIT - EMPTY + 1)
    assert store_raw(classroom, f'{{"text":"{text}"}}').status == 413


def test_the_rest_of_the_message_does_not_count(classroom: Classroom) -> None:
    content = {"text": "x" * (LIMIT - EMPTY)}
    assert classroom.store(context="c" * 50, content=content).status == 201


def test_the_problem_tells_the_limit(classroom: Classroom) -> None:
    answer = classroom.store(content={"text": "x" * LIMIT})
    assert (answer.refusal, "65536" in answer.detail.replace(",", "")) == ((413, "content_too_large"), True)


def test_content_at_the_limit_comes_back_whole(classroom: Classroom) -> None:
    content = {"text": "\U0001f600" * ((LIMIT - EMPTY) // 4)}
    classroom.store(content=content)
    assert classroom.history()[0]["content"] == content


# Session and order of checks


def test_nobodys_session_is_not_found() -> None:
    assert call("store", NOBODYS_ID, body=message_body()).refusal == (404, "session_not_found")


WRONG_SHAPE: Json = {"from_user": 1}
WRONG_TYPE = {"type": "shout"}
WRONG_CONTEXT = {"context": "a b"}
TOO_LARGE = {"content": {"text": "x" * LIMIT}}
NO_OBJECT = {"content": ["a"]}
NOT_A_NUMBER = {"content": {"n": float("nan")}}
WRONG_SENDER = {"from_user": "an n"}
WRONG_ROLE = {"role": "teacher"}
STRANGER = {"from_user": "stranger", "role": "student"}
TO_STRANGER = {"to_user": "stranger"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param(WRONG_SHAPE | WRONG_TYPE, "invalid_request", id="shape before type"),
        pytest.param(WRONG_TYPE | {"extra": 1}, "invalid_request", id="unknown field before type"),
        pytest.param(WRONG_TYPE | WRONG_CONTEXT, "invalid_message_type", id="type before context"),
        pytest.param(WRONG_TYPE | TOO_LARGE, "invalid_message_type", id="type before content"),
        pytest.param(WRONG_TYPE | WRONG_SENDER, "invalid_message_type", id="type before sender"),
        pytest.param(WRONG_TYPE | NO_OBJECT, "invalid_message_type", id="type before the form of the content"),
        pytest.param(WRONG_CONTEXT | NO_OBJECT, "invalid_context", id="context before the form of the content"),
        pytest.param(WRONG_CONTEXT | NOT_A_NUMBER, "invalid_context", id="context before numbers in the content"),
        pytest.param(NOT_A_NUMBER | WRONG_SENDER, "invalid_content", id="numbers in the content before sender"),
        pytest.param(NO_OBJECT | WRONG_ROLE, "invalid_content", id="form of the content before role"),
        pytest.param(WRONG_CONTEXT | TOO_LARGE, "invalid_context", id="context before content"),
        pytest.param(WRONG_CONTEXT | WRONG_SENDER, "invalid_context", id="context before sender"),
        pytest.param(TOO_LARGE | WRONG_SENDER, "content_too_large", id="content before sender"),
        pytest.param(TOO_LARGE, "content_too_large", id="content before existence"),
        pytest.param(WRONG_SENDER, "invalid_user_id", id="sender before existence"),
        pytest.param(WRONG_ROLE, "invalid_role", id="role before existence"),
    ],
)
def test_order_of_checks_on_the_form(changes: Json, code: str) -> None:
    assert call("store", NOBODYS_ID, body=message_body(**changes)).refusal[1] == code


def test_a_malformed_recipient_is_refused_before_existence() -> None:
    assert call("store", NOBODYS_ID, body=message_body("request", to_user="an n")).status == 400


def test_existence_is_checked_before_membership() -> None:
    assert call("store", NOBODYS_ID, body=message_body("analytics", **STRANGER)).status == 404


def test_existence_is_checked_before_the_recipient() -> None:
    assert call("store", NOBODYS_ID, body=message_body("request", **TO_STRANGER)).status == 404


def test_the_end_is_checked_before_membership(classroom: Classroom) -> None:
    classroom.ask("end")
    assert classroom.store("analytics", **STRANGER).refusal == (410, "session_ended")


def test_the_end_is_checked_before_the_recipient(classroom: Classroom) -> None:
    classroom.ask("end")
    assert classroom.store("request", **TO_STRANGER).refusal == (410, "session_ended")


def test_form_is_checked_before_the_end(classroom: Classroom) -> None:
    classroom.ask("end")
    assert classroom.store(**WRONG_TYPE).refusal == (400, "invalid_message_type")


@pytest.mark.parametrize(
    "changes",
    [WRONG_SHAPE, WRONG_TYPE, WRONG_CONTEXT, TOO_LARGE, WRONG_SENDER, WRONG_ROLE, STRANGER, {"to_user": "ann"}],
)
def test_a_refused_message_is_not_stored(classroom: Classroom, changes: Json) -> None:
    refused = classroom.store(**changes)
    assert (refused.status >= 400, classroom.history()) == (True, [])
