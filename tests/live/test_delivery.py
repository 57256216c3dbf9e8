"""What connected people receive: history, `history_complete`, then every message of their share, in order."""

from tests.conftest import Classroom
from tests.live.platform import Gateway

COMPLETE = "history_complete"
ENDED = "session_ended"


def ask(text: str) -> dict[str, object]:
    """A student's frame."""
    return {"type": "instructor_inbox", "content": {"text": text}}


def broadcast(text: str) -> dict[str, object]:
    """An instructor's frame to everybody."""
    return {"type": "instructor_broadcast", "content": {"text": text}}


def to(user_id: str, text: str) -> dict[str, object]:
    """An instructor's frame to one student."""
    return {"type": "request", "to_user": user_id, "content": {"text": text}}


def test_history_comes_first_and_then_what_is_sent(gateway: Gateway, classroom: Classroom) -> None:
    classroom.say("before")
    ann = gateway.join(classroom, "ann")
    teacher = gateway.join(classroom, "ms_noether")
    assert gateway.send(teacher, broadcast("hello")) is None
    assert gateway.texts(ann) == ["before", COMPLETE, "hello"]


def test_each_type_goes_to_its_recipients(gateway: Gateway, classroom: Classroom) -> None:
    ann, bob, noether, abel = (gateway.join(classroom, who) for who in ("ann", "bob", "ms_noether", "mr_abel"))
    for type_ in ("instructor_inbox", "request_response", "analytics"):
        gateway.send(ann, {"type": type_, "content": {"text": type_}})
    for type_ in ("inbox_response", "request"):
        gateway.send(noether, {"type": type_, "to_user": "bob", "content": {"text": type_}})
    gateway.send(noether, broadcast("all"))
    assert gateway.texts(ann) == [COMPLETE, "all"]
    assert gateway.texts(bob) == [COMPLETE, "inbox_response", "request", "all"]
    for instructor in (noether, abel):
        assert gateway.texts(instructor) == [COMPLETE, "instructor_inbox", "request_response", "analytics"]


def test_a_message_stored_over_http_is_handed_over_and_delivered(gateway: Gateway, classroom: Classroom) -> None:
    ann = gateway.join(classroom, "ann")
    classroom.say("hello")
    assert gateway.texts(ann) == [COMPLETE]
    gateway.run()
    assert gateway.texts(ann) == [COMPLETE, "hello"]


def test_an_end_is_the_last_frame_of_everybody(gateway: Gateway, classroom: Classroom) -> None:
    ann, teacher = gateway.join(classroom, "ann"), gateway.join(classroom, "ms_noether")
    gateway.send(teacher, broadcast("bye"))
    assert classroom.ask("end").status == 200
    gateway.run()
    assert gateway.texts(ann) == [COMPLETE, "bye", ENDED]
    assert gateway.texts(teacher) == [COMPLETE, ENDED]
    assert sorted(gateway.closed) == sorted([ann, teacher])
    assert classroom.ask("get").body["connection_count"] == 0
