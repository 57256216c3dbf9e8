"""`history`: order, pages that never miss or repeat a message, and pages that fit."""

import json

import pytest

from shared import environment
from shared.paging import row_bytes
from tests.conftest import (
    NOBODYS_ID,
    RESPONSE_LIMIT,
    Classroom,
    Freeze,
    Json,
    at_once,
    call,
    crawl,
    message_body,
    open_classroom,
    pages,
)

LARGEST_TEXT = 65_536 - len('{"text":""}')


def test_a_session_without_messages_has_an_empty_history(classroom: Classroom) -> None:
    answer = classroom.ask("history")
    assert (answer.status, answer.body) == (200, {"messages": [], "next_cursor": None})


def test_messages_come_in_order(classroom: Classroom) -> None:
    said = [classroom.say(str(number)) for number in range(10)]
    assert classroom.ask("history").body["messages"] == said


def test_messages_of_one_instant_come_in_order_of_commit(freeze: Freeze, classroom: Classroom) -> None:
    freeze("2026-11-22 08:00:00")
    said = [classroom.say(str(number)) for number in range(50)]
    assert classroom.history() == said


def test_a_history_is_read_after_a_cold_start(classroom: Classroom) -> None:
    said = classroom.say("hello")
    environment.reset()
    assert classroom.history() == [said]


def test_the_history_of_an_ended_session_is_read(classroom: Classroom) -> None:
    said = classroom.say("hello")
    classroom.ask("end")
    assert classroom.history() == [said]


def test_each_session_has_a_history_of_its_own(classroom: Classroom) -> None:
    other = open_classroom()
    classroom.say("here")
    other.say("there")
    assert (classroom.texts(), other.texts()) == (["here"], ["there"])


def test_a_session_of_nobody_is_not_found() -> None:
    assert call("history", NOBODYS_ID).refusal == (404, "session_not_found")


@pytest.mark.parametrize(("query", "missing"), [({"user_id": "ann"}, "role"), ({"role": "student"}, "user_id")])
def test_user_and_role_come_together(classroom: Classroom, query: Json, missing: str) -> None:
    answer = classroom.ask("history", **query)
    assert (answer.refusal, missing in answer.detail) == ((400, "invalid_request"), True)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"user_id": "an n", "role": "student"}, "invalid_user_id"),
        ({"user_id": "ann\n", "role": "student"}, "invalid_user_id"),
        ({"user_id": "x" * 51, "role": "instructor"}, "invalid_user_id"),
        ({"user_id": "ann", "role": "teacher"}, "invalid_role"),
        ({"user_id": "ann", "role": "Student"}, "invalid_role"),
    ],
)
def test_user_and_role_must_be_well_formed(classroom: Classroom, query: Json, code: str) -> None:
    assert classroom.ask("history", **query).refusal == (400, code)


def test_a_student_who_is_not_listed_may_not_read(classroom: Classroom) -> None:
    assert classroom.ask("history", user_id="stranger", role="student").refusal == (403, "unauthorized")


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (4, [3]), (1000, [3])])
def test_a_page_holds_at_most_limit_messages(classroom: Classroom, limit: int, sizes: list[int]) -> None:
    for number in range(3):
        classroom.say(str(number))
    held = [len(page["messages"]) for page in pages("history", classroom.id, limit=limit)]
    assert [size for size in held if size] == sizes


@pytest.mark.parametrize(
    "limit",
    ["0", "-1", "1001", "99999999999999999999", "ten", "1.5", "0x10", "5.0", "1e2", "+5", "1_0", "\u0663", "1,2"],
)
def test_a_limit_beyond_the_rules_is_refused(classroom: Classroom, limit: str) -> None:
    answer = classroom.ask("history", limit=limit)
    assert (answer.refusal, "limit" in answer.detail) == ((400, "invalid_request"), True)


def test_a_page_holds_1000_messages_by_default(classroom: Classroom) -> None:
    at_once(13, lambda _: [classroom.say("hello") for _ in range(77)])
    assert [len(page["messages"]) for page in pages("history", classroom.id)] == [1000, 1]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
def test_a_crawl_reads_all_in_order(freeze: Freeze, classroom: Classroom, limit: int) -> None:
    freeze("2026-11-22 08:00:00")
    said = [classroom.say(str(number)) for number in range(7)]
    assert classroom.history(limit=limit) == said


def test_a_crawl_meets_what_is_written_meanwhile(freeze: Freeze, classroom: Classroom) -> None:
    freeze("2026-11-22 08:00:00")
    said = [classroom.say(str(number))["id"] for number in range(5)]
    seen: list[str] = []
    for page in pages("history", classroom.id, limit=2):
        seen += [message["id"] for message in page["messages"]]
        if page["next_cursor"] is not None and len(said) < 9:
            said.append(classroom.say("meanwhile")["id"])
    assert seen == said


def test_a_crawl_meets_what_is_written_after_the_clock_stepped_back(freeze: Freeze, classroom: Classroom) -> None:
    clock = freeze("2026-11-22 08:00:00")
    said = [classroom.say("1"), classroom.say("2"), classroom.say("3")]
    reading = pages("history", classroom.id, limit=2)
    seen = next(reading)["messages"]
    clock.move_to("2026-11-22 07:00:00")
    said.append(classroom.say("4"))
    assert seen + [message for page in reading for message in page["messages"]] == said


def test_a_crawl_goes_on_in_another_container(classroom: Classroom) -> None:
    said = [classroom.say(str(number)) for number in range(3)]
    reading = pages("history", classroom.id, limit=1)
    seen = next(reading)["messages"]
    environment.reset()
    assert seen + [message for page in reading for message in page["messages"]] == said


def test_a_students_crawl_reads_all_that_the_student_may(classroom: Classroom) -> None:
    for number in range(6):
        classroom.say(f"to bob {number}", "request", to_user="bob")
        classroom.say(f"to ann {number}", "request", to_user="ann")
    read = classroom.texts(user_id="ann", role="student", limit=2)
    assert read == [f"to ann {number}" for number in range(6)]


@pytest.mark.parametrize(
    "cursor",
    ["x", "!!!", "AAAA", "bnVsbA==", "e30=", "W10=", "\u00e9", "a" * 5000, "' OR 1=1 --", "\0", "null", "%"],
)
def test_a_malformed_cursor_is_refused(classroom: Classroom, cursor: str) -> None:
    answer = classroom.ask("history", cursor=cursor)
    assert (answer.refusal, "cursor" in answer.detail) == ((400, "invalid_request"), True)


def test_half_a_cursor_is_refused(classroom: Classroom) -> None:
    classroom.say("1"), classroom.say("2")
    cursor = classroom.ask("history", limit=1).body["next_cursor"]
    answer = classroom.ask("history", limit=1, cursor=cursor[: len(cursor) // 2])
    assert answer.refusal == (400, "invalid_request")


def test_the_cursor_of_a_list_is_refused(classroom: Classroom) -> None:
    open_classroom()
    cursor = call("list", query={"limit": 1}).body["next_cursor"]
    assert classroom.ask("history", cursor=cursor).refusal == (400, "invalid_request")


def fill(room: Classroom, character: str, times: int) -> list[str]:
    """Store this many messages of the largest content, and return their ids in order."""
    size = len(json.dumps(character, ensure_ascii=False).encode()) - 2
    body = json.dumps(message_body(content={"text": character * (LARGEST_TEXT // size)}), ensure_ascii=False)
    answers = [call("store", room.id, body=body) for _ in range(times)]
    return [answer.body["message"]["id"] for answer in answers]


FILLINGS = [
    pytest.param("x", id="plain"),
    pytest.param('"', id="quotes"),
    pytest.param("\\", id="backslashes"),
    pytest.param("\u00e9", id="two bytes"),
    pytest.param("\U0001f600", id="four bytes"),
    pytest.param("\1", id="control characters"),
]


@pytest.mark.parametrize("character", FILLINGS)
def test_every_page_fits_lambdas_response(classroom: Classroom, character: str) -> None:
    stored = fill(classroom, character, 200)
    answers = list(crawl("history", classroom.id))
    read = [message["id"] for answer in answers for message in answer.body["messages"]]
    assert (read == stored, max(answer.size for answer in answers) <= RESPONSE_LIMIT) == (True, True)


def test_a_page_is_filled_to_its_last_byte(classroom: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        classroom.say("x")
    monkeypatch.setattr("shared.database.PAGE_BYTES", 2 * row_bytes('{"text":"x"}'))
    assert [len(page["messages"]) for page in pages("history", classroom.id)] == [2, 1]
