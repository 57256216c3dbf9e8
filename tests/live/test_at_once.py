"""Many at once: every connection gets exactly its share, in order, while senders, joins and deliverers overlap."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from shared import clock, environment
from shared.entities import Lease
from shared.identifiers import new_id
from shared.live.database import LiveDatabase
from shared.live.entities import Connection, Delivered, Progress
from tests.conftest import Classroom, at_once
from tests.live.platform import DELIVER, Gateway
from tests.live.test_delivery import COMPLETE, ENDED, broadcast


@contextmanager
def invocations(gateway: Gateway, threads: int = 4) -> Iterator[None]:
    """Run what is started in threads, as Lambda does, until nothing is left."""
    stopping = threading.Event()

    def work() -> None:
        while not stopping.is_set() or gateway.started:
            gateway.run()
            stopping.wait(0.001)

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(work) for _ in range(threads)]
        try:
            yield
        finally:
            stopping.set()
        for one in running:
            one.result()


def test_every_client_gets_its_share_in_order_while_others_send_and_come_and_go(
    gateway: Gateway, classroom: Classroom
) -> None:
    ann = gateway.join(classroom, "ann")
    teachers = [gateway.join(classroom, f"ms_{number}") for number in range(4)]

    def send(number: int) -> None:
        for index in range(10):
            assert gateway.send(teachers[number], broadcast(f"{number}.{index}")) is None
            classroom.say(f"http {number}.{index}")
            if index == number * 2:
                gateway.leave(gateway.handshake(classroom.id, "bob")[0])

    with invocations(gateway):
        at_once(4, send)
        bob, answer = gateway.handshake(classroom.id, "bob")
        assert answer.status == 200
    expected = classroom.texts()
    assert len(expected) == 80
    assert gateway.texts(ann) == [COMPLETE, *expected]
    received = gateway.texts(bob)
    received.remove(COMPLETE)
    assert received == expected


def test_joins_and_the_end_at_once_leave_nobody_behind(gateway: Gateway, classroom: Classroom) -> None:
    def act(number: int) -> None:
        if number == 4:
            assert classroom.ask("end").status == 200
        else:
            gateway.handshake(classroom.id, f"ms_{number}")

    with invocations(gateway):
        at_once(8, act)
    joined = list(gateway.frames)
    assert [gateway.texts(one) for one in joined] == [[COMPLETE, ENDED]] * len(joined)
    assert (gateway.open, classroom.ask("get").body["connection_count"]) == (set(), 0)


def test_of_two_deliverers_with_one_handed_lease_one_delivers(gateway: Gateway, classroom: Classroom) -> None:
    ann = gateway.join(classroom, "ann")
    classroom.say("hello")
    gateway.started.append(gateway.started[0])  # Lambda may start an invocation twice
    at_once(2, lambda _: gateway.run())
    assert gateway.texts(ann) == [COMPLETE, "hello"]


def test_of_two_replays_with_one_handed_lease_one_replays(gateway: Gateway, classroom: Classroom) -> None:
    classroom.say("hello")
    ann, _answer = gateway.handshake(classroom.id, "ann")
    gateway.started.append(gateway.started[0])
    at_once(2, lambda _: gateway.run())
    assert gateway.texts(ann) == ["hello", COMPLETE]


def test_a_message_between_the_last_page_and_going_live_is_sent_by_the_replay(
    gateway: Gateway, classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ["second", "first"]
    real = LiveDatabase.go_live

    def go_live(self: LiveDatabase, *arguments: object) -> tuple[Progress, int]:
        if said:
            classroom.say(said.pop())
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(LiveDatabase, "go_live", go_live)
    ann = gateway.join(classroom, "ann")
    classroom.say("third")
    gateway.run()
    assert gateway.texts(ann) == [COMPLETE, "first", "second", "third"]


def test_a_message_between_the_last_page_and_giving_back_is_delivered(
    gateway: Gateway, classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ["third", "second"]
    real = LiveDatabase.settle

    def settle(self: LiveDatabase, lease: Lease, page: Delivered) -> Progress:
        if said:
            classroom.say(said.pop())
        return real(self, lease, page)

    ann = gateway.join(classroom, "ann")
    monkeypatch.setattr(LiveDatabase, "settle", settle)
    classroom.say("first")
    assert [function for function, _event in gateway.started] == [DELIVER]
    gateway.run()
    assert gateway.texts(ann) == [COMPLETE, "first", "second", "third"]


def test_a_deliverer_without_time_hands_over(
    gateway: Gateway, classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = gateway.join(classroom, "ann")
    classroom.say("hello")
    with monkeypatch.context() as late:
        late.setattr("tests.conftest.Context.get_remaining_time_in_millis", lambda _: 5_000)
        gateway.run_only(DELIVER)
    assert [function for function, _event in gateway.started] == [DELIVER]
    gateway.run()
    assert gateway.texts(ann) == [COMPLETE, "hello"]


def test_a_deliverer_whose_time_ends_within_a_page_leaves_the_rest_to_a_replay(
    gateway: Gateway, classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = gateway.join(classroom, "ann")
    for text in "abc":
        classroom.say(text)
    seconds = [29_000]
    monkeypatch.setattr("tests.conftest.Context.get_remaining_time_in_millis", lambda _: seconds[0])
    gateway.fault = lambda connection_id, frame: seconds.__setitem__(0, 5_000)
    gateway.run_only(DELIVER)
    received, seconds[0], gateway.fault = gateway.texts(ann), 29_000, lambda connection_id, frame: None
    gateway.run()
    assert (received, gateway.texts(ann)) == ([COMPLETE, "a"], [COMPLETE, "a", "b", "c"])


def test_a_connect_that_is_repeated_replaces_nobody(gateway: Gateway, classroom: Classroom) -> None:
    """Its first attempt was committed, and the user connected again before the repeat."""
    live = environment.current().database.part(LiveDatabase)
    first = Connection("L1=", classroom.id, "ann", "student", clock.now())
    made = live._writes.connect(first, new_id())
    live._writer.write(made.run, atomic=made.atomic, order=made.order)
    gateway.handshake(classroom.id, "ann")  # its replay, which removes the replaced connection, has not run yet
    live._writer.write(lambda database, _: made.run(database, True), atomic=made.atomic, order=made.order)
    asked = classroom.ask("connections").body["connections"]
    assert (len(asked), classroom.ask("get").body["connection_count"]) == (1, 1)


def test_a_session_without_connections_starts_nothing(gateway: Gateway, classroom: Classroom) -> None:
    gateway.leave(gateway.join(classroom, "ann"))
    classroom.say("hello")
    classroom.ask("end")
    assert list(gateway.started) == []
