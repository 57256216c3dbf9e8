"""A replay beside what happens to its connection meanwhile: messages of its own user, and a client that goes away."""

from tests.conftest import Classroom, Json
from tests.live.platform import Gateway
from tests.live.test_delivery import COMPLETE, ENDED, ask, broadcast


def test_nothing_of_its_own_comes_back_after_the_history(gateway: Gateway, classroom: Classroom) -> None:
    teacher = gateway.join(classroom, "ms_noether")
    ann, _ = gateway.handshake(classroom.id, "ann")

    def send_meanwhile(connection_id: str, frame: Json) -> None:
        if (connection_id, frame["context"]) == (ann, COMPLETE):
            gateway.send(ann, ask("from ann"))
            gateway.send(teacher, broadcast("to all"))

    gateway.fault = send_meanwhile
    gateway.run()
    assert gateway.texts(ann) == [COMPLETE, "to all"]


def test_a_replaced_connection_is_closed_although_the_newer_one_is_gone(gateway: Gateway, classroom: Classroom) -> None:
    older = gateway.join(classroom, "ann")
    newer, _ = gateway.handshake(classroom.id, "ann")
    gateway.leave(newer)
    gateway.run()
    assert gateway.texts(older) == [COMPLETE, ENDED]
    assert gateway.closed == [older]
