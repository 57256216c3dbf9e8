"""`Idempotency-Key`: a call that is repeated is made once, and answered alike."""

import pytest

from shared import environment
from tests.conftest import (
    NOBODYS_ID,
    Answer,
    Classroom,
    Freeze,
    at_once,
    call,
    counted,
    message_body,
    open_classroom,
    session_body,
)


def create(key: str, **changes: object) -> Answer:
    """Create a session under this key."""
    return call("create", body=session_body(**changes), headers={"idempotency-key": key})


def store(room: Classroom, key: str, text: str = "hello") -> Answer:
    """Store a broadcast under this key."""
    return call("store", room.id, body=message_body(content={"text": text}), headers={"idempotency-key": key})


def count() -> int:
    """Count all sessions."""
    total: int = call("list", query={"status": "all"}).body["total_count"]
    return total


def test_a_repeated_create_is_answered_alike() -> None:
    first, second = create("key"), create("key")
    assert (second.status, second.text) == (201, first.text)


def test_only_the_answer_of_an_earlier_call_is_marked(classroom: Classroom) -> None:
    answers = [create("key"), create("key"), create("other"), store(classroom, "key"), store(classroom, "key")]
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, "true", None, None, "true"]


def test_a_repeated_create_has_the_same_location() -> None:
    assert create("key").headers["location"] == create("key").headers["location"]


def test_a_repeated_create_makes_one_session() -> None:
    create("key"), create("key")
    assert count() == 1


def test_a_repeated_create_logs_one_creation(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "shared")
    create("key"), create("key")
    assert sum(record.getMessage().startswith("created session") for record in caplog.records) == 1


def test_a_repeated_store_is_answered_alike(classroom: Classroom) -> None:
    first, second = store(classroom, "key"), store(classroom, "key")
    assert (second.status, second.text) == (201, first.text)


def test_a_repeated_store_makes_one_message(classroom: Classroom) -> None:
    store(classroom, "key"), store(classroom, "key")
    assert classroom.texts() == ["hello"]


def test_without_a_key_a_repeated_call_is_another_one(classroom: Classroom) -> None:
    classroom.store(), classroom.store()
    assert len(classroom.history()) == 2


def test_another_key_is_another_call() -> None:
    create("key-1"), create("key-2")
    assert count() == 2


def test_the_answer_is_kept_over_a_cold_start(classroom: Classroom) -> None:
    first = store(classroom, "key")
    environment.reset()
    assert store(classroom, "key").text == first.text


def test_the_answer_is_kept_when_the_session_has_ended(classroom: Classroom) -> None:
    first = store(classroom, "key")
    classroom.ask("end")
    assert (store(classroom, "key").status, store(classroom, "key").text) == (201, first.text)


def test_the_answer_of_create_stays_that_of_the_new_session() -> None:
    first = create("key")
    call("end", first.body["session"]["id"])
    assert create("key").text == first.text


def test_another_body_under_the_same_key_is_refused() -> None:
    create("key", name="Algebra")
    assert create("key", name="Analysis").refusal == (422, "idempotency_key_reused")


def test_another_body_under_the_same_key_changes_nothing(classroom: Classroom) -> None:
    store(classroom, "key", "one"), store(classroom, "key", "two")
    assert classroom.texts() == ["one"]


def test_another_message_under_the_same_key_is_refused(classroom: Classroom) -> None:
    store(classroom, "key", "one")
    assert store(classroom, "key", "two").refusal == (422, "idempotency_key_reused")


def test_each_function_has_keys_of_its_own(classroom: Classroom) -> None:
    assert (create("key").status, store(classroom, "key").status) == (201, 201)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("k", id="one character"),
        pytest.param("k" * 254, id="254 characters"),
        pytest.param("k" * 255, id="255 characters"),
        pytest.param('"8e03978e-40d5-43dd-bc93-6894a57f9324"', id="quoted"),
        pytest.param("8e03978e-40d5-43dd-bc93-6894a57f9324", id="bare"),
        pytest.param("!#$%&'()*+,-./:;<=>?@[]^_`{|}~", id="punctuation"),
    ],
)
def test_a_key_within_the_rules_works(key: str) -> None:
    first, second = create(key), create(key)
    assert (first.status, second.text) == (201, first.text)


BAD_KEYS = [
    pytest.param("", id="empty"),
    pytest.param('""', id="empty and quoted"),
    pytest.param("k" * 256, id="256 characters"),
    pytest.param("k\u00e9y", id="beyond ASCII"),
    pytest.param("k\0", id="NUL"),
    pytest.param("k\n", id="trailing newline"),
    pytest.param("k\x7f", id="delete"),
    pytest.param("k\tk", id="tab"),
]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_beyond_the_rules_is_refused(key: str) -> None:
    assert create(key).refusal == (400, "invalid_idempotency_key")


def test_a_store_under_a_bad_key_is_refused(classroom: Classroom) -> None:
    assert store(classroom, "k" * 256).refusal == (400, "invalid_idempotency_key")


def test_the_key_is_checked_before_the_values_of_the_body() -> None:
    body = message_body(type="shout")
    assert create("", name="").refusal == (400, "invalid_idempotency_key")
    assert call("store", NOBODYS_ID, body=body, headers={"idempotency-key": ""}).refusal[1] == "invalid_idempotency_key"


def test_a_call_under_a_bad_key_changes_nothing() -> None:
    assert (create("k" * 256).status, count()) == (400, 0)


def test_a_key_is_kept_for_24_hours(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    first = create("key")
    clock.move_to("2026-11-23 07:59:59")
    assert create("key").text == first.text


def test_a_key_is_forgotten_after_24_hours(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    first = create("key")
    clock.move_to("2026-11-23 08:00:01")
    assert (create("key", name="Another").status, first.status, count()) == (201, 201, 2)


def test_a_repeated_call_does_not_prolong_its_key(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    first = create("key")
    clock.move_to("2026-11-23 07:00:00")
    create("key")
    clock.move_to("2026-11-23 08:00:01")
    assert create("key").text != first.text


def test_fifty_creates_at_once_make_one_session() -> None:
    answers = at_once(50, lambda _: create("key"))
    assert ({(answer.status, answer.text) for answer in answers}, count()) == ({(201, answers[0].text)}, 1)


def test_fifty_stores_at_once_make_one_message(classroom: Classroom) -> None:
    answers = at_once(50, lambda _: store(classroom, "key"))
    assert ({answer.text for answer in answers}, classroom.texts()) == ({answers[0].text}, ["hello"])


def test_of_two_bodies_at_once_under_one_key_one_wins() -> None:
    answers = at_once(20, lambda number: create("key", name=f"Body {number % 2}"))
    assert ({answer.status for answer in answers}, count()) == ({201, 422}, 1)


def test_keys_at_once_do_not_mix() -> None:
    answers = at_once(20, lambda number: create(f"key-{number % 5}", name=f"Session {number % 5}"))
    names = [answer.body["session"]["name"] for answer in answers]
    assert (names, count()) == ([f"Session {number % 5}" for number in range(20)], 5)


def test_a_failed_call_leaves_no_session_behind(classroom: Classroom) -> None:
    create("key", student_ids=[])
    assert call("list").body["sessions"] == [counted(classroom.session)]


def test_a_message_to_an_ended_session_is_refused_under_a_key(classroom: Classroom) -> None:
    classroom.ask("end")
    assert store(classroom, "key").refusal == (410, "session_ended")


def test_keys_are_apart_for_each_session() -> None:
    ours, theirs = open_classroom(), open_classroom()
    for room in (ours, theirs):
        answer = call(
            "store", room.id, body=message_body(content={"to": room.id}), headers={"Idempotency-Key": "hello"}
        )
        assert answer.status == 201
    assert [message["content"] for message in theirs.history()] == [{"to": theirs.id}]
