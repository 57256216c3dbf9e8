"""The frames of clients: what is accepted, and the `message_error` for everything else."""

import base64
import json

import pytest

from shared import environment
from shared.errors import DatabaseUnavailableError
from shared.live.database import LiveDatabase
from tests.conftest import Classroom, Json, call, message_body
from tests.live.platform import Gateway
from tests.live.test_delivery import COMPLETE, ask, broadcast


def code(answer: Json | None) -> str:
    """The code of a `message_error` frame, whose form is checked; empty without a frame."""
    if answer is None:
        return ""
    assert (answer["type"], answer["context"], answer["content"]["event"]) == ("system", *["message_error"] * 2)
    assert answer["content"]["message"] == "Message could not be delivered"
    assert answer["content"].keys() == {"event", "message", "error", "code"}
    return str(answer["content"]["code"])


REFUSED = [
    ("", "invalid_request"),
    ("{", "invalid_request"),
    ("[]", "invalid_request"),
    ("null", "invalid_request"),
    ('"text"', "invalid_request"),
    ("\ud800", "invalid_request"),
    ("[" * 100_000, "invalid_request"),
    ('{"type":"instructor_inbox","type":"instructor_inbox","content":{}}', "invalid_request"),
    ({"type": "instructor_inbox"}, "invalid_request"),
    ({"content": {}}, "invalid_request"),
    (ask("x") | {"from_user": "bob"}, "invalid_request"),
    (ask("x") | {"role": "instructor"}, "invalid_request"),
    (ask("x") | {"session_id": "x"}, "invalid_request"),
    (ask("x") | {"action": "x"}, "invalid_request"),
    (ask("x") | {"type": "shout"}, "invalid_message_type"),
    (ask("x") | {"type": "system"}, "invalid_message_type"),
    (ask("x") | {"context": "a b"}, "invalid_context"),
    (ask("x") | {"content": "text"}, "invalid_content"),
    (ask("x") | {"to_user": "bob"}, "invalid_recipient"),
    (ask("x" * 65_536), "content_too_large"),
    (broadcast("x"), "unauthorized"),
]


@pytest.mark.parametrize(("frame", "expected"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_frame_that_is_refused_is_answered_and_not_stored(
    gateway: Gateway, classroom: Classroom, frame: object, expected: str
) -> None:
    ann, teacher = gateway.join(classroom, "ann"), gateway.join(classroom, "ms_noether")
    assert code(gateway.send(ann, frame)) == expected
    assert (classroom.history(), gateway.texts(teacher)) == ([], [COMPLETE])


def test_a_binary_frame_is_refused(gateway: Gateway, classroom: Classroom) -> None:
    ann = gateway.join(classroom, "ann")
    binary = base64.b64encode(json.dumps(ask("x")).encode()).decode()
    answer = gateway.send(ann, binary, isBase64Encoded=True)
    assert (code(answer), classroom.history()) == ("invalid_request", [])


def test_a_message_to_somebody_outside_is_refused(gateway: Gateway, classroom: Classroom) -> None:
    teacher = gateway.join(classroom, "ms_noether")
    frame = {"type": "request", "to_user": "eve", "content": {}}
    assert code(gateway.send(teacher, frame)) == "invalid_recipient"


def test_a_message_after_the_end_is_refused(gateway: Gateway, classroom: Classroom) -> None:
    ann = gateway.join(classroom, "ann")
    classroom.ask("end")
    assert code(gateway.send(ann, ask("late"))) == "session_ended"


def test_more_messages_than_the_limit_are_refused(
    gateway: Gateway, classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_MESSAGES_PER_MINUTE", "2")
    environment.reset()
    ann, teacher = gateway.join(classroom, "ann"), gateway.join(classroom, "ms_noether")
    assert [code(gateway.send(ann, ask(text))) for text in "abc"] == ["", "", "rate_limited"]
    assert gateway.texts(teacher) == [COMPLETE, "a", "b"]


def test_a_message_whose_delivery_fails_is_stored_and_no_error(
    gateway: Gateway, classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DatabaseUnavailableError

    ann = gateway.join(classroom, "ann")
    monkeypatch.setattr(LiveDatabase, "outstanding", fail)
    assert gateway.send(ann, ask("hello")) is None
    assert classroom.texts() == ["hello"]


def test_a_context_is_general_unless_it_is_named(gateway: Gateway, classroom: Classroom) -> None:
    ann, teacher = gateway.join(classroom, "ann"), gateway.join(classroom, "ms_noether")
    gateway.send(ann, ask("a"))
    gateway.send(ann, ask("b") | {"context": "question-1"})
    assert [frame["context"] for frame in gateway.frames[teacher][1:]] == ["general", "question-1"]


def test_a_live_message_is_what_history_has(gateway: Gateway, classroom: Classroom) -> None:
    ann, teacher = gateway.join(classroom, "ann"), gateway.join(classroom, "ms_noether")
    gateway.send(ann, ask("a"))
    assert gateway.frames[teacher][1:] == classroom.history()


def test_the_same_message_is_not_stored_twice_by_an_answer_that_is_repeated(
    gateway: Gateway, classroom: Classroom
) -> None:
    ann = gateway.join(classroom, "ann")
    for _ in range(2):
        call("store", classroom.id, body=message_body(content={"text": "once"}), headers={"idempotency-key": "k"})
    gateway.run()
    assert gateway.texts(ann) == [COMPLETE, "once"]
