"""Bad input: every one gets a problem that says what was wrong and where, and changes nothing."""

import base64
import json
import logging
import re

import pytest

from tests.conftest import (
    NOBODYS_ID,
    RESPONSE_LIMIT,
    Answer,
    Classroom,
    call,
    counted,
    event,
    golden,
    invoke,
    message_body,
    open_classroom,
    session_body,
)

ALL_FUNCTIONS = ("create", "list", "get", "end", "validate", "store", "history", "health")
WITH_A_BODY = ("create", "store")
WITH_AN_ID = ("get", "end", "validate", "store", "history")
QUERY = {"validate": {"user_id": "ann", "role": "student"}}


def send(room: Classroom, name: str, body: object) -> Answer:
    """Send this body to a function that expects one."""
    return call(name, room.id if name == "store" else None, body=body)


def unchanged(room: Classroom) -> bool:
    """Whether there is nothing but this one session, without messages."""
    return (call("list", query={"status": "all"}).body["sessions"], room.history()) == ([counted(room.session)], [])


def valid(name: str) -> str:
    """Return a body that the function takes."""
    return str(golden(name)["body"])


# Bodies that are no JSON object

BODIES: list[object] = [
    pytest.param(None, id="none"),
    pytest.param("", id="empty"),
    pytest.param(" \n", id="blank"),
    pytest.param("{", id="cut off"),
    pytest.param('{"name": "Alge', id="cut off within a string"),
    pytest.param("name=Algebra&instructor_id=ms_noether", id="form"),
    pytest.param("{'name': 'Algebra'}", id="Python"),
    pytest.param('{"name": "Algebra",}', id="trailing comma"),
    pytest.param('{"name": "Alge\nbra"}', id="raw newline in a string"),
    pytest.param('{"name": "\\x41"}', id="unknown escape"),
    pytest.param("{} {}", id="two objects"),
    pytest.param("{}x", id="trailing letter"),
    pytest.param("[]", id="array"),
    pytest.param("[{}]", id="object in an array"),
    pytest.param("null", id="null"),
    pytest.param("true", id="true"),
    pytest.param("42", id="number"),
    pytest.param('"Algebra"', id="string"),
    pytest.param("NaN", id="not a number"),
    pytest.param("{}", id="empty object"),
    pytest.param("[" * 200_000, id="deeply nested arrays"),
    pytest.param('{"a":' * 200_000, id="deeply nested objects"),
    pytest.param("[" * 200_000 + "]" * 200_000, id="deeply nested, closed"),
    pytest.param(b"\xff\xfe{}", id="no UTF-8"),
    pytest.param(b'{"name": "\xc3"}', id="half a character"),
    pytest.param(b'{"name": "\xed\xa0\x80"}', id="surrogate in UTF-8"),
    pytest.param(b'{"name": "\xc0\xaf"}', id="overlong UTF-8"),
    pytest.param("{}".encode("utf-16"), id="UTF-16"),
    pytest.param(b"\x1f\x8b\x08\x00" + bytes(20), id="gzip"),
]


@pytest.mark.parametrize("name", WITH_A_BODY)
@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_is_no_proper_object_is_refused(classroom: Classroom, name: str, body: object) -> None:
    assert send(classroom, name, body).refusal == (400, "invalid_request")


@pytest.mark.parametrize(("name", "text"), [("create", b"Algebra"), ("store", b"Good morning")])
@pytest.mark.parametrize("spoiler", [b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_invalid_utf_8_is_refused_in_an_otherwise_good_body(
    classroom: Classroom, name: str, text: bytes, spoiler: bytes
) -> None:
    refused = send(classroom, name, valid(name).encode().replace(text, text + spoiler))
    assert (refused.refusal, unchanged(classroom)) == ((400, "invalid_request"), True)


@pytest.mark.parametrize("name", WITH_A_BODY)
@pytest.mark.parametrize("body", ["***", "a", "e30", "{}", "e30=\u00e9", "e3\n0=!"])
def test_base64_that_is_none_is_refused(classroom: Classroom, name: str, body: str) -> None:
    made = event(name, classroom.id if name == "store" else None) | {"body": body, "isBase64Encoded": True}
    assert invoke(name, made).refusal == (400, "invalid_request")


@pytest.mark.parametrize("name", WITH_A_BODY)
@pytest.mark.parametrize("junk", ["*", "!", "=", "\u00e9"])
def test_base64_with_junk_within_is_refused(classroom: Classroom, name: str, junk: str) -> None:
    encoded = base64.b64encode(valid(name).encode()).decode()
    made = event(name, classroom.id if name == "store" else None)
    refused = invoke(name, made | {"body": encoded[:8] + junk + encoded[8:], "isBase64Encoded": True})
    assert (refused.refusal, unchanged(classroom)) == ((400, "invalid_request"), True)


@pytest.mark.parametrize("name", WITH_A_BODY)
def test_a_duplicate_key_is_refused(classroom: Classroom, name: str) -> None:
    fields = valid(name)[1:-1]
    refused = send(classroom, name, f"{{{fields}, {fields}}}")
    assert (refused.refusal, unchanged(classroom)) == ((400, "invalid_request"), True)


@pytest.mark.parametrize("content", ['{"a":1,"a":1}', '{"a":{"b":1,"b":2}}', '{"a":[{"b":1,"\\u0062":2}]}'])
def test_a_duplicate_key_within_content_is_refused(classroom: Classroom, content: str) -> None:
    refused = send_content(classroom, content)
    assert (refused.status, classroom.history()) == (400, [])


# Fields: missing, unknown, of a wrong type


@pytest.mark.parametrize("field", ["name", "instructor_id", "student_ids"])
def test_create_names_the_missing_field(field: str) -> None:
    body = session_body()
    del body[field]
    answer = call("create", body=body)
    assert (answer.refusal, field in answer.detail) == ((400, "invalid_request"), True)


@pytest.mark.parametrize("field", ["type", "from_user", "role", "content"])
def test_store_names_the_missing_field(classroom: Classroom, field: str) -> None:
    body = message_body()
    del body[field]
    answer = call("store", classroom.id, body=body)
    assert (answer.refusal, field in answer.detail) == ((400, "invalid_request"), True)


WRONG: tuple[object, ...] = (7, 1.5, True, [], {}, ["x"], {"x": "y"})


@pytest.mark.parametrize("value", [*WRONG, None], ids=json.dumps)
@pytest.mark.parametrize("field", ["name", "instructor_id"])
def test_create_names_the_field_of_a_wrong_type(field: str, value: object) -> None:
    answer = call("create", body=session_body(**{field: value}))
    assert (answer.refusal, field in answer.detail) == ((400, "invalid_request"), True)


@pytest.mark.parametrize(
    "students", ["ann", 7, True, None, {}, {"ann": 1}, [1], ["ann", None], [["ann"]], [{}]], ids=json.dumps
)
def test_create_refuses_students_of_a_wrong_type(students: object) -> None:
    answer = call("create", body=session_body(student_ids=students))
    assert (answer.refusal, "student_ids" in answer.detail) == ((400, "invalid_request"), True)


@pytest.mark.parametrize("value", WRONG, ids=json.dumps)
@pytest.mark.parametrize("field", ["type", "from_user", "role", "context", "to_user"])
def test_store_names_the_field_of_a_wrong_type(classroom: Classroom, field: str, value: object) -> None:
    answer = classroom.store("request", **{field: value})
    assert (answer.refusal, field in answer.detail) == ((400, "invalid_request"), True)


@pytest.mark.parametrize("field", ["id", "created_by", "start_time", "end_time", "status", "Name", "student_id"])
def test_create_refuses_an_unknown_field_by_name(field: str) -> None:
    answer = call("create", body=session_body(**{field: "x"}))
    assert (answer.refusal, field in answer.detail) == ((400, "invalid_request"), True)


@pytest.mark.parametrize("field", ["id", "session_id", "timestamp", "user_id", "toUser", "Content"])
def test_store_refuses_an_unknown_field_by_name(classroom: Classroom, field: str) -> None:
    answer = classroom.store(**{field: "x"})
    assert (answer.refusal, field in answer.detail) == ((400, "invalid_request"), True)


@pytest.mark.parametrize("name", ALL_FUNCTIONS)
def test_an_unknown_query_parameter_is_refused_by_name(classroom: Classroom, name: str) -> None:
    session_id = classroom.id if name in WITH_AN_ID else None
    answer = call(name, session_id, query=QUERY.get(name, {}) | {"verbose": "1"})
    assert (answer.refusal, "verbose" in answer.detail) == ((400, "invalid_request"), True)


@pytest.mark.parametrize("name", ["create", "end", "store"])
def test_a_write_with_an_unknown_query_parameter_changes_nothing(classroom: Classroom, name: str) -> None:
    refused = call(name, classroom.id if name in WITH_AN_ID else None, query={"dry_run": "1"})
    assert (refused.status, unchanged(classroom)) == (400, True)


# Session ids


IDS = [
    pytest.param("x", id="one letter"),
    pytest.param("not-a-uuid", id="words"),
    pytest.param("g" * 36, id="36 letters"),
    pytest.param(NOBODYS_ID[:-1], id="one short"),
    pytest.param(NOBODYS_ID + "0", id="one long"),
    pytest.param("0" * 100_000, id="huge"),
    pytest.param("\n", id="newline"),
    pytest.param("\0", id="NUL"),
    pytest.param("a/b", id="slash"),
    pytest.param("../../etc/passwd", id="path"),
    pytest.param("%", id="percent"),
    pytest.param("%00%0a", id="percent-encoded"),
    pytest.param("' OR '1'='1", id="SQL"),
    pytest.param("\u00e9\U0001f600", id="beyond ASCII"),
    pytest.param("\ud800", id="lone surrogate"),
]


@pytest.mark.parametrize("name", WITH_AN_ID)
@pytest.mark.parametrize("session_id", IDS)
def test_an_id_that_is_no_uuid_is_not_found(name: str, session_id: str) -> None:
    assert call(name, session_id, query=QUERY.get(name)).refusal == (404, "session_not_found")


@pytest.mark.parametrize("name", WITH_AN_ID)
@pytest.mark.parametrize(
    "spelling",
    ["{}\n", "\n{}", "{} ", " {}", "{}\0", "{}/", "/{}", "{}%0A", "{}%", "{}?", "{{{}}}", "urn:uuid:{}"],
    ids=repr,
)
def test_an_id_with_something_around_is_not_found(classroom: Classroom, name: str, spelling: str) -> None:
    refused = call(name, spelling.format(classroom.id), query=QUERY.get(name))
    assert (refused.refusal, unchanged(classroom)) == ((404, "session_not_found"), True)


@pytest.mark.parametrize("name", WITH_AN_ID)
@pytest.mark.parametrize("session_id", ["x\nFORGED LINE", "x\r\nFORGED LINE", "\u2028FORGED LINE"], ids=repr)
def test_no_line_of_the_log_is_forged_by_an_id(caplog: pytest.LogCaptureFixture, name: str, session_id: str) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = call(name, session_id, query=QUERY.get(name))
    lines = [line for record in caplog.records for line in record.getMessage().splitlines()]
    assert (answer.status, [line for line in lines if line.startswith("FORGED")]) == (404, [])


@pytest.mark.parametrize("field", ["name", "instructor_id", "student_ids", "x\nFORGED LINE"])
def test_no_line_of_the_log_is_forged_by_a_body(caplog: pytest.LogCaptureFixture, field: str) -> None:
    forged = "x\nFORGED LINE"
    with caplog.at_level(logging.DEBUG):
        answer = call("create", body=session_body(**{field: [forged] if field == "student_ids" else forged}))
    lines = [line for record in caplog.records for line in record.getMessage().splitlines()]
    assert (answer.status, [line for line in lines if line.startswith("FORGED")]) == (400, [])


# Cursors that somebody has changed


def tampered(cursor: str) -> list[str]:
    """Change a cursor in each place, and, where it is base64 that ends in a number, this number."""
    changed = [cursor[:place] + other + cursor[place + 1 :] for place in range(len(cursor)) for other in "A9_"]
    inside = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    numbers = (b"9" * 30, b"18446744073709551615", b"9223372036854775808", b"-9" + b"0" * 20)
    grown = [re.sub(rb"\d+(?=\D*$)", number, inside) for number in numbers]
    return changed + [base64.urlsafe_b64encode(text).decode().rstrip("=") for text in grown]


@pytest.mark.parametrize("name", ["list", "history"])
def test_a_tampered_cursor_is_refused_or_read(classroom: Classroom, name: str) -> None:
    session_id = classroom.id if name == "history" else None
    for _ in range(2):
        open_classroom()
        classroom.store()
    cursor = call(name, session_id, query={"limit": 1}).body["next_cursor"]
    answers = [call(name, session_id, query={"limit": 1, "cursor": other}) for other in tampered(cursor)]
    assert {answer.refusal for answer in answers} <= {(200, None), (400, "invalid_request")}


# Content that no JSON text can carry, or that is too deep


def send_content(room: Classroom, content: str) -> Answer:
    """Store a broadcast whose content is this text, unchanged."""
    body = json.dumps(message_body(content=0))
    return call("store", room.id, body=body.replace('"content": 0', f'"content": {content}'))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e999999999", "nan", "inf"])
@pytest.mark.parametrize("around", ['{{"n":{}}}', '{{"n":[1,{{"m":{}}}]}}'], ids=["outermost", "within"])
def test_a_number_that_is_none_is_refused(classroom: Classroom, number: str, around: str) -> None:
    refused = send_content(classroom, around.format(number))
    assert (refused.status, refused.refusal[1] in ("invalid_content", "invalid_request")) == (400, True)


@pytest.mark.parametrize("text", [r"\ud800", r"\udc00", r"\udc00\ud800", r"\ud800x", r"x\udfff", r"\ud800\ud800"])
@pytest.mark.parametrize(
    "around", ['{{"t":"{}"}}', '{{"{}":1}}', '{{"t":[{{"u":"{}"}}]}}'], ids=["value", "key", "within"]
)
def test_a_lone_surrogate_is_refused(classroom: Classroom, text: str, around: str) -> None:
    refused = send_content(classroom, around.format(text))
    assert (refused.status, refused.refusal[1] in ("invalid_content", "invalid_request")) == (400, True)


@pytest.mark.parametrize(("name", "text"), [("create", "Algebra"), ("store", "Good morning")])
def test_a_lone_surrogate_that_is_not_escaped_is_refused(classroom: Classroom, name: str, text: str) -> None:
    refused = send(classroom, name, valid(name).replace(text, text + "\ud800"))
    assert (refused.status, unchanged(classroom)) == (400, True)


@pytest.mark.parametrize("field", ["name", "instructor_id"])
def test_a_lone_surrogate_in_a_field_is_refused(field: str) -> None:
    assert call("create", body=json.dumps(session_body(**{field: "x\ud800"}))).status == 400


@pytest.mark.parametrize("field", ["type", "context", "from_user", "role", "to_user"])
def test_a_lone_surrogate_in_a_field_of_a_message_is_refused(classroom: Classroom, field: str) -> None:
    assert classroom.store("request", **{field: "x\ud800"}).status == 400


@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")], ids=["objects", "arrays"])
def test_deeply_nested_content_is_refused(classroom: Classroom, opening: str, closing: str) -> None:
    depth = 10_000
    refused = send_content(classroom, f'{{"c":{opening * depth}1{closing * depth}}}')
    assert (refused.status, classroom.history()) == (400, [])


@pytest.mark.parametrize("content", ["NaN", '{"n":1e400}', r'{"t":"\ud800"}', '{"a":1,"a":2}', '{"a":[[[', "[]", "1"])
def test_refused_content_is_not_stored(classroom: Classroom, content: str) -> None:
    refused = send_content(classroom, content)
    assert (refused.status, unchanged(classroom)) == (400, True)


# Huge input


def test_a_huge_name_is_refused() -> None:
    assert call("create", body=session_body(name="x" * 3_000_000)).refusal == (400, "invalid_session_name")


def test_the_problem_of_a_huge_student_id_fits_lambdas_response() -> None:
    answer = call("create", body=session_body(student_ids=['"' * 1_900_000]))
    assert (answer.refusal, answer.size <= RESPONSE_LIMIT) == ((400, "invalid_student_id"), True)


def test_the_problem_of_a_huge_field_name_fits_lambdas_response() -> None:
    answer = call("create", body=session_body(**{'"' * 1_900_000: 1}))
    assert (answer.refusal, answer.size <= RESPONSE_LIMIT) == ((400, "invalid_request"), True)


def test_huge_content_is_too_large(classroom: Classroom) -> None:
    assert classroom.store(content={"text": "x" * 5_000_000}).refusal == (413, "content_too_large")


@pytest.mark.parametrize("name", WITH_A_BODY)
def test_a_body_as_large_as_lambda_takes_is_refused(classroom: Classroom, name: str) -> None:
    refused = send(classroom, name, json.dumps({"x" * 5_900_000: 1}))
    assert (refused.status in (400, 413), unchanged(classroom)) == (True, True)


def test_a_huge_number_is_handled(classroom: Classroom) -> None:
    assert send_content(classroom, f'{{"n":{"9" * 60_000}}}').status in (201, 400)


def test_a_body_is_read_up_to_four_mebibytes() -> None:
    limit = 4 * 1024 * 1024
    assert call("create", body=valid("create").rjust(limit)).status == 201
    assert call("create", body=valid("create").rjust(limit + 1)).refusal == (413, "content_too_large")


# Lone surrogates, and events that are no events

SURROGATE = "\ud800"


@pytest.mark.parametrize("key", [{}, {"idempotency-key": "key"}], ids=["without a key", "with a key"])
@pytest.mark.parametrize(
    ("name", "field", "code"),
    [
        ("create", SURROGATE, "invalid_request"),
        ("create", "name", "invalid_session_name"),
        ("create", "instructor_id", "invalid_created_by"),
        ("store", SURROGATE, "invalid_request"),
        ("store", "type", "invalid_message_type"),
        ("store", "context", "invalid_context"),
        ("store", "from_user", "invalid_user_id"),
        ("store", "role", "invalid_role"),
        ("store", "to_user", "invalid_recipient"),
    ],
)
def test_a_lone_surrogate_is_refused_with_its_field_s_code(
    classroom: Classroom, name: str, field: str, code: str, key: dict[str, str]
) -> None:
    body = {"create": session_body(), "store": message_body("request")}[name] | {field: SURROGATE}
    answer = call(name, classroom.id if name == "store" else None, body=body, headers=key)
    assert answer.refusal == (400, code)


@pytest.mark.parametrize("key", [{}, {"idempotency-key": "key"}], ids=["without a key", "with a key"])
def test_a_lone_surrogate_among_the_students_is_refused(key: dict[str, str]) -> None:
    answer = call("create", body=session_body(student_ids=[SURROGATE]), headers=key)
    assert answer.refusal == (400, "invalid_student_id")


@pytest.mark.parametrize("name", ["list", "validate", "history"])
def test_a_lone_surrogate_in_a_query_is_refused(classroom: Classroom, name: str) -> None:
    made = event(name, classroom.id) | {"queryStringParameters": {SURROGATE: "x"}}
    assert invoke(name, made).refusal == (400, "invalid_request")


@pytest.mark.parametrize("name", ALL_FUNCTIONS)
@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        "text",
        5,
        {"queryStringParameters": []},
        {"queryStringParameters": {"limit": 5}},
        {"pathParameters": "x"},
        {"headers": {"idempotency-key": 5}},
        {"body": {}},
    ],
    ids=str,
)
def test_an_event_of_another_form_is_refused(name: str, broken: object) -> None:
    assert invoke(name, broken, None).refusal == (400, "invalid_request")  # type: ignore[arg-type]


def test_a_request_id_with_a_lone_surrogate_is_answered_escaped() -> None:
    made = {"requestContext": {"requestId": SURROGATE}, "pathParameters": {"session_id": SURROGATE}}
    answer = invoke("get", made, None)
    assert (answer.refusal, answer.body["request_id"]) == ((404, "session_not_found"), "\\ud800")


def test_many_brackets_side_by_side_are_not_deep(classroom: Classroom) -> None:
    assert classroom.store(content={"rows": [[1, {}]] * 200}).status == 201
