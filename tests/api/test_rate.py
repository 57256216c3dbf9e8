"""The limit of messages that one user may send within a minute, on both engines."""

import pytest

from shared import environment
from tests.api.test_identity import ANN, call_as, verify_callers
from tests.conftest import Answer, Classroom, Freeze, at_once, open_classroom

LIMITED = (429, "rate_limited")


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three messages a minute."""
    monkeypatch.setenv("SWITCHBOARD_MESSAGES_PER_MINUTE", "3")
    environment.reset()


def send(room: Classroom, times: int, user: str = "ann") -> list[int]:
    """Send so many messages; the statuses."""
    return [room.store("analytics", from_user=user).status for _ in range(times)]


def refused(room: Classroom) -> Answer:
    """One message more than may be sent."""
    return room.store("analytics")


def test_a_user_may_send_so_many_messages_a_minute(limit: None, classroom: Classroom) -> None:
    assert send(classroom, 5) == [201, 201, 201, 429, 429]


def test_a_refusal_says_the_limit_and_when_to_try_again(limit: None, classroom: Classroom, freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    room = open_classroom()
    send(room, 3)
    clock.tick(20.5)
    answer = refused(room)
    assert (answer.refusal, answer.headers["retry-after"]) == (LIMITED, "40")
    assert answer.detail == "at most 3 messages a minute: try again in 40 s"


def test_a_refused_message_is_not_stored(limit: None, classroom: Classroom) -> None:
    send(classroom, 5)
    assert len(classroom.history()) == 3


def test_a_refused_message_leaves_no_gap(limit: None, classroom: Classroom) -> None:
    send(classroom, 4)
    send(classroom, 1, "bob")
    assert [message["from_user"] for message in classroom.history()] == ["ann", "ann", "ann", "bob"]


def test_a_minute_after_the_first_the_count_starts_again(limit: None, freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    room = open_classroom()
    statuses = send(room, 4)
    clock.tick(60)
    assert statuses + send(room, 4) == [201, 201, 201, 429] * 2


def test_just_before_that_it_does_not(limit: None, freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    room = open_classroom()
    send(room, 3)
    clock.tick(59.9)
    assert refused(room).refusal == LIMITED


def test_a_clock_that_steps_back_locks_nobody_out(limit: None, freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    room = open_classroom()
    send(room, 3)
    clock.move_to("2026-11-22 07:00:00")
    assert send(room, 1) == [201]


def test_a_container_whose_clock_is_a_little_behind_counts_the_same(limit: None, freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    room = open_classroom()
    statuses = send(room, 2)
    clock.move_to("2026-11-22 07:59:59.999999")
    assert statuses + send(room, 2) == [201, 201, 201, 429]


def test_users_are_counted_apart(limit: None, classroom: Classroom) -> None:
    assert send(classroom, 4) + send(classroom, 1, "bob") == [201, 201, 201, 429, 201]


def test_a_user_is_counted_over_all_sessions(limit: None, classroom: Classroom) -> None:
    assert send(classroom, 3) + send(open_classroom(), 1) == [201, 201, 201, 429]


def test_every_container_counts_the_same(limit: None, classroom: Classroom) -> None:
    send(classroom, 3)
    environment.reset()
    assert refused(classroom).refusal == LIMITED


def test_at_once_no_more_pass_than_may(limit: None, classroom: Classroom) -> None:
    rooms = [classroom, open_classroom()]
    statuses = at_once(20, lambda number: rooms[number % 2].store("analytics").status)
    assert sorted(statuses) == [201] * 3 + [429] * 17


def test_what_is_refused_for_another_reason_is_not_counted(limit: None, classroom: Classroom) -> None:
    for _ in range(5):
        classroom.store("instructor_broadcast", role="student", from_user="ann")
    assert send(classroom, 3) == [201, 201, 201]


def test_an_ended_session_says_so_to_everybody(limit: None, classroom: Classroom) -> None:
    send(classroom, 3)
    classroom.ask("end")
    assert refused(classroom).refusal == (410, "session_ended")


def test_a_repeated_call_is_not_counted(limit: None, classroom: Classroom) -> None:
    sent = [call_with_key(classroom, "same").status for _ in range(5)]
    assert sent + send(classroom, 3) == [201] * 5 + [201, 201, 429]


def call_with_key(room: Classroom, key: str) -> Answer:
    """A message under a key."""
    from tests.conftest import call, message_body

    return call("store", room.id, body=message_body("analytics"), headers={"Idempotency-Key": key})


def test_without_a_limit_everybody_sends(classroom: Classroom) -> None:
    assert send(classroom, 101) == [201] * 101


def test_callers_who_are_verified_have_a_limit_of_100(classroom: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    verify_callers(monkeypatch)
    body = {"type": "analytics", "content": {}}
    statuses = [call_as(ANN, "store", classroom.id, body=body).status for _ in range(101)]
    assert statuses == [201] * 100 + [429]


def test_a_limit_of_0_is_none(classroom: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_MESSAGES_PER_MINUTE", "0")
    verify_callers(monkeypatch)
    body = {"type": "analytics", "content": {}}
    assert {call_as(ANN, "store", classroom.id, body=body).status for _ in range(101)} == {201}
