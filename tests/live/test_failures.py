"""What fails or dies: a container between post and record, a connection, the platform. Nothing is lost."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw

from shared import environment
from shared.database import DatabaseManager
from shared.entities import MessageDraft
from shared.errors import DatabaseUnavailableError
from shared.live import frames
from shared.live.database import LiveDatabase
from shared.live.entities import Progress
from shared.live.ports import GoneError, OutcomeUnknownError, PlatformError, UnavailableError
from shared.live.posting import LeaseLostError, Posting
from tests.conftest import Classroom, Freeze, Json, call
from tests.live.platform import DELIVER, Gateway, Killed
from tests.live.test_delivery import COMPLETE, ENDED, broadcast
from tests.storage import Storage

LEASE = 16  # seconds; a lease has expired then


def raising(
    error: BaseException, text: str, connection_id: str | None = None, times: int = 1
) -> Callable[[str, Json], None]:
    """A fault at the first post, or the first few, of a frame with this text, or with this event."""
    left = [error] * times

    def fault(connection: str, frame: Json) -> None:
        found = frame["content"].get("event") or frame["content"]["text"]
        if left and found == text and connection_id in (None, connection):
            raise left.pop()

    return fault


def test_a_deliverer_that_dies_between_post_and_record_loses_nothing(
    gateway: Gateway, classroom: Classroom, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = freeze("2026-11-22 08:00:00")
    ann = gateway.join(classroom, "ann")
    classroom.say("one")
    with monkeypatch.context() as dying:
        dying.setattr(LiveDatabase, "settle", die)
        with pytest.raises(Killed):
            gateway.run()
    classroom.say("two")
    gateway.run()
    assert gateway.texts(ann) == [COMPLETE, "one"]  # the lease is the dead one's
    clock.tick(LEASE)
    gateway.sweep()
    assert gateway.texts(ann) == [COMPLETE, "one", "one", "two"]


def die(*_: Any) -> Progress:
    """The container dies before a write."""
    raise Killed


def test_the_next_message_goes_on_where_a_dead_deliverer_stopped(
    gateway: Gateway, classroom: Classroom, freeze: Freeze
) -> None:
    clock = freeze("2026-11-22 08:00:00")
    ann = gateway.join(classroom, "ann")
    classroom.say("one")
    gateway.started.clear()  # the invocation is lost
    clock.tick(LEASE)
    classroom.say("two")
    gateway.run()
    assert gateway.texts(ann) == [COMPLETE, "one", "two"]


@pytest.mark.parametrize("text", ["one", "two", COMPLETE])
def test_a_replay_that_dies_is_begun_again(gateway: Gateway, classroom: Classroom, freeze: Freeze, text: str) -> None:
    clock = freeze("2026-11-22 08:00:00")
    for said in ("one", "two"):
        classroom.say(said)
    gateway.fault = raising(Killed(), text)
    ann, _answer = gateway.handshake(classroom.id, "ann")
    with pytest.raises(Killed):
        gateway.run()
    classroom.say("three")
    gateway.run()
    clock.tick(LEASE)
    gateway.sweep()
    received = gateway.texts(ann)
    assert received[-4:] == ["one", "two", "three", COMPLETE]
    assert received[:-4] == ["one", "two", COMPLETE][: len(received) - 4]
    gateway.send(gateway.join(classroom, "ms_noether"), broadcast("live"))
    assert gateway.texts(ann)[-1] == "live"


def test_an_end_whose_deliverer_died_closes_everybody_within_a_minute(
    gateway: Gateway, classroom: Classroom, freeze: Freeze
) -> None:
    clock = freeze("2026-11-22 08:00:00")
    ann, bob = gateway.join(classroom, "ann"), gateway.join(classroom, "bob")
    gateway.fault = raising(Killed(), ENDED, bob)
    classroom.ask("end")
    with pytest.raises(Killed):
        gateway.run()
    clock.tick(LEASE)
    gateway.sweep()
    assert gateway.texts(bob) == [COMPLETE, ENDED]
    assert ENDED in gateway.texts(ann)
    assert (gateway.open, classroom.ask("get").body["connection_count"]) == (set(), 0)


def test_a_connection_that_is_gone_is_forgotten_and_the_others_get_the_message(
    gateway: Gateway, classroom: Classroom
) -> None:
    ann, bob = gateway.join(classroom, "ann"), gateway.join(classroom, "bob")
    gateway.open.discard(ann)  # `$disconnect` never comes
    classroom.say("hello")
    gateway.run()
    assert gateway.texts(bob) == [COMPLETE, "hello"]
    assert classroom.ask("get").body["connection_count"] == 1


@pytest.mark.parametrize("failures", [1, 2])
def test_a_throttled_post_is_tried_again(gateway: Gateway, classroom: Classroom, failures: int) -> None:
    ann = gateway.join(classroom, "ann")
    gateway.fault = throttle(failures)
    classroom.say("hello")
    gateway.run()
    assert gateway.texts(ann) == [COMPLETE, "hello"]


def throttle(failures: int) -> Callable[[str, Json], None]:
    """The next so many posts are throttled."""
    left = [UnavailableError("429")] * failures

    def fault(connection_id: str, frame: Json) -> None:
        if left:
            raise left.pop()

    return fault


def test_a_connection_that_stays_throttled_gets_a_replay_and_holds_nobody_up(
    gateway: Gateway, classroom: Classroom
) -> None:
    ann, bob = gateway.join(classroom, "ann"), gateway.join(classroom, "bob")
    reachable = [False]

    def fault(connection_id: str, frame: Json) -> None:
        if connection_id == ann and not reachable[0]:
            raise UnavailableError("429")

    gateway.fault = fault
    for text in ("one", "two"):
        classroom.say(text)
        gateway.run_only(DELIVER)  # ann's replay waits
    assert gateway.texts(bob) == [COMPLETE, "one", "two"]
    reachable[0] = True
    gateway.run()
    assert gateway.texts(ann) == [COMPLETE, "one", "two"]
    classroom.say("three")
    gateway.run()
    assert (gateway.texts(ann)[-1], gateway.texts(bob)[-1]) == ("three", "three")


def test_a_connection_that_is_behind_misses_nothing_when_the_server_knows_how_small_its_tables_are(
    gateway: Gateway, classroom: Classroom, postgres: Storage
) -> None:
    """With these statistics PostgreSQL runs the parts of a statement in another order."""
    ann, _bob = gateway.join(classroom, "ann"), gateway.join(classroom, "bob")
    postgres.run("ANALYZE connections")
    postgres.run("ANALYZE session_heads")
    throttled = throttle(3)  # as often as a delivery tries
    gateway.fault = lambda connection_id, frame: throttled(connection_id, frame) if connection_id == ann else None
    classroom.say("hello")
    gateway.run()
    assert gateway.texts(ann) == [COMPLETE, "hello"]


@pytest.mark.parametrize("times", [1, 2])
def test_a_post_without_an_answer_is_repeated_and_the_connection_stays(
    gateway: Gateway, classroom: Classroom, times: int
) -> None:
    ann = gateway.join(classroom, "ann")
    gateway.fault = raising(OutcomeUnknownError("no answer"), "hello", times=times)
    classroom.say("hello")
    classroom.say("again")
    gateway.run()
    assert (gateway.texts(ann), gateway.closed) == ([COMPLETE, "hello", "again"], [])


def test_a_connection_that_never_answers_is_closed(gateway: Gateway, classroom: Classroom) -> None:
    ann = gateway.join(classroom, "ann")
    gateway.fault = raising(OutcomeUnknownError("no answer"), "hello", times=3)
    classroom.say("hello")
    gateway.run()
    assert (gateway.texts(ann), gateway.closed) == ([COMPLETE], [ann])
    assert classroom.ask("get").body["connection_count"] == 0


def test_a_connection_that_can_neither_be_reached_nor_closed_is_tried_again_and_misses_nothing(
    gateway: Gateway, classroom: Classroom, freeze: Freeze
) -> None:
    clock = freeze("2026-11-22 08:00:00")
    ann = gateway.join(classroom, "ann")

    def refuse(*_: Any) -> None:
        raise PlatformError("403")

    gateway.fault, gateway.fault_at_close = refuse, refuse
    classroom.say("hello")
    gateway.run()
    gateway.fault = lambda *_: None
    gateway.fault_at_close = lambda *_: None
    clock.tick(LEASE)
    gateway.sweep()
    assert gateway.texts(ann) == [COMPLETE, "hello"]


def test_a_handshake_that_is_still_on_its_way_gets_its_history(gateway: Gateway, classroom: Classroom) -> None:
    early = [3]

    def fault(connection_id: str, frame: Json) -> None:
        if early[0]:
            early[0] -= 1
            raise GoneError(connection_id)

    gateway.fault = fault
    assert gateway.texts(gateway.join(classroom, "ann")) == [COMPLETE]


def test_a_frame_is_not_repeated_by_a_holder_whose_lease_is_lost_meanwhile(gateway: Gateway) -> None:
    attempts, pauses = [0], [0]

    def throttled(*_: Any) -> None:
        attempts[0] += 1
        raise UnavailableError("429")

    def check() -> None:
        if pauses[0]:
            raise LeaseLostError

    gateway.fault = throttled
    posting = Posting(gateway, pause=lambda _: pauses.__setitem__(0, 1))
    with pytest.raises(LeaseLostError):
        posting.send("L1=", frames.replaced(), (0.1, 0.1), check)
    assert attempts == [1]


def test_a_sweep_looks_again_when_the_leases_have_expired(
    gateway: Gateway, classroom: Classroom, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = freeze("2026-11-22 08:00:00")
    ann = gateway.join(classroom, "ann")
    classroom.say("hello")
    gateway.started.clear()  # the invocation that has the lease dies
    monkeypatch.setattr("tests.conftest.Context.get_remaining_time_in_millis", lambda _: 300_000)
    monkeypatch.setattr(environment.live()._sweep, "_pause", lambda seconds: clock.tick(seconds + 1))
    gateway.sweep()
    assert gateway.texts(ann) == [COMPLETE, "hello"]


def test_a_handshake_that_took_long_gets_its_history(gateway: Gateway, classroom: Classroom, freeze: Freeze) -> None:
    """A busy database may make `connect` wait for seconds after it has read the clock."""
    clock = freeze("2026-11-22 08:00:00")
    ann, _answer = gateway.handshake(classroom.id, "ann")
    clock.tick(9)
    left = [GoneError(ann)] * 3

    def fault(connection_id: str, frame: Json) -> None:
        if left:
            raise left.pop()

    gateway.fault = fault
    gateway.run()
    assert gateway.texts(ann) == [COMPLETE]


def test_a_handshake_whose_client_went_away_is_forgotten(
    gateway: Gateway, classroom: Classroom, freeze: Freeze
) -> None:
    clock = freeze("2026-11-22 08:00:00")
    ann, _answer = gateway.handshake(classroom.id, "ann")
    gateway.open.discard(ann)
    clock.tick(3)
    gateway.run()
    assert classroom.ask("get").body["connection_count"] == 0


def test_a_replay_that_cannot_be_started_refuses_the_handshake(gateway: Gateway, classroom: Classroom) -> None:
    def refuse(function: str, event: Json) -> None:
        raise UnavailableError("Lambda is down")

    gateway.fault_at_start = refuse
    _ann, answer = gateway.handshake(classroom.id, "ann")
    assert (answer.refusal, answer.headers["retry-after"]) == ((503, "live_unavailable"), "5")
    assert classroom.ask("get").body["connection_count"] == 0


def test_a_delivery_that_cannot_be_handed_over_is_left_to_the_next_message(
    gateway: Gateway, classroom: Classroom
) -> None:
    ann = gateway.join(classroom, "ann")

    def refuse(function: str, event: Json) -> None:
        raise UnavailableError("Lambda is down")

    gateway.fault_at_start = refuse
    classroom.say("one")
    gateway.fault_at_start = lambda *_: None
    classroom.say("two")
    gateway.run()
    assert gateway.texts(ann) == [COMPLETE, "one", "two"]


def test_connections_older_than_two_hours_are_swept(gateway: Gateway, classroom: Classroom, freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    gateway.join(classroom, "ann")
    clock.tick(2 * 3600 - 1)
    gateway.sweep()
    assert classroom.ask("get").body["connection_count"] == 1
    clock.tick(2)
    gateway.sweep()
    assert (classroom.ask("get").body["connection_count"], gateway.open) == (0, set())


def test_a_history_that_cannot_be_read_is_said_and_the_connection_lives_on(
    gateway: Gateway, classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise DatabaseUnavailableError

    classroom.say("before")
    with monkeypatch.context() as broken:
        broken.setattr(DatabaseManager, "get_session_history", fail)
        ann = gateway.join(classroom, "ann")
    classroom.say("after")
    gateway.run()
    assert gateway.texts(ann) == ["history_unavailable", "after"]


def test_ten_thousand_outstanding_messages_are_delivered_in_pages(gateway: Gateway, classroom: Classroom) -> None:
    ann = gateway.join(classroom, "ann")
    texts = [str(number) for number in range(10_000)]
    store = environment.current().database.store_message  # takes no lease, as if the container died at the commit
    for text in texts:
        content = Raw(f'{{"text":"{text}"}}'.encode())
        store(MessageDraft(classroom.id, "instructor_broadcast", "general", "ms_noether", None, content))
    gateway.sweep()
    assert gateway.texts(ann) == [COMPLETE, *texts]
    assert call("get", classroom.id).body["connection_count"] == 1
