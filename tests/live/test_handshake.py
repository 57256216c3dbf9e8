"""Who may connect, by `authorize` and `connect`, in both ways to know callers; and who is connected."""

from typing import Any

import pytest

from shared import environment
from tests.api.test_identity import ANN, NOETHER, call_as
from tests.conftest import NOBODYS_ID, Classroom, Freeze, at_once, call, counted, golden, invoke
from tests.identity_provider import SECRET, hs256
from tests.live.platform import Gateway
from tests.live.test_delivery import COMPLETE, ENDED, ask, broadcast

MISSING = (400, "invalid_request")


@pytest.fixture
def claims(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers are verified, by tokens of a school's own backend."""
    monkeypatch.setenv("SWITCHBOARD_IDENTITY", "claims")
    monkeypatch.setenv("SWITCHBOARD_TOKEN_SECRETS", SECRET)
    environment.reset()


def bearer(user_id: str, *roles: str) -> dict[str, str]:
    """The header with a token of this user."""
    return {"Authorization": f"Bearer {hs256(sub=user_id, roles=list(roles))}"}


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"user_id": "an n"}, (400, "invalid_user_id")),
        ({"role": "teacher"}, (400, "invalid_role")),
        ({"user_id": "eve"}, (403, "unauthorized")),
        ({"session_id": NOBODYS_ID}, (404, "session_not_found")),
        ({"session_id": "no uuid"}, (404, "session_not_found")),
        ({"colour": "blue"}, MISSING),
        ({"user_id": ["ann", "bob"]}, MISSING),
        ({"session_id": [NOBODYS_ID, NOBODYS_ID]}, MISSING),
    ],
    ids=str,
)
def test_a_handshake_is_refused_as_validate_refuses(
    gateway: Gateway, classroom: Classroom, changes: Any, refusal: tuple[int, str]
) -> None:
    _connection, answer = gateway.handshake(classroom.id, "ann", **changes)
    assert answer.refusal == refusal
    assert (list(gateway.started), classroom.ask("get").body["connection_count"]) == ([], 0)


@pytest.mark.parametrize("name", ["user_id", "role", "session_id"])
def test_a_handshake_without_a_parameter_is_refused(gateway: Gateway, classroom: Classroom, name: str) -> None:
    query = {"user_id": "ann", "role": "student", "session_id": classroom.id}
    del query[name]
    _connection, answer = gateway.shake(query)
    assert answer.refusal == MISSING
    assert name in answer.detail


def test_a_handshake_without_any_parameter_is_refused(gateway: Gateway) -> None:
    assert gateway.shake({})[1].refusal == MISSING


def test_nobody_connects_to_an_ended_session(gateway: Gateway, classroom: Classroom) -> None:
    classroom.ask("end")
    assert gateway.handshake(classroom.id, "ann")[1].refusal == (410, "session_ended")


def test_without_a_websocket_api_nobody_connects(classroom: Classroom) -> None:
    event = golden("connect")
    event["queryStringParameters"]["session_id"] = classroom.id
    event["multiValueQueryStringParameters"]["session_id"] = [classroom.id]
    assert invoke("connect", event).refusal == (503, "live_unavailable")


def test_an_event_of_an_http_api_opens_no_connection(gateway: Gateway, classroom: Classroom) -> None:
    query = {"user_id": "ann", "role": "student", "session_id": classroom.id}
    answer = invoke("connect", golden("validate") | {"queryStringParameters": query})
    assert answer.refusal == MISSING


def test_the_token_says_who_connects_and_who_speaks(gateway: Gateway, classroom: Classroom, claims: None) -> None:
    ann, answer = gateway.shake({"session_id": classroom.id}, bearer("ann"))
    teacher, _answer = gateway.shake(
        {"session_id": classroom.id, "role": "instructor"}, bearer("ms_noether", "teacher")
    )
    gateway.run()
    assert gateway.send(ann, ask("may I?")) is None
    assert (answer.status, gateway.texts(teacher)) == (200, [COMPLETE, "may I?"])


@pytest.mark.parametrize("named", [{"user_id": "bob"}, {"role": "instructor"}])
def test_a_query_cannot_name_somebody_else(
    gateway: Gateway, classroom: Classroom, claims: None, named: dict[str, str]
) -> None:
    _connection, answer = gateway.shake({"session_id": classroom.id, **named}, bearer("ann"))
    assert answer.refusal == (403, "identity_mismatch")


def test_a_token_may_come_in_the_query(gateway: Gateway, classroom: Classroom, claims: None) -> None:
    query = {"session_id": classroom.id, "token": hs256(sub="ann", roles=[])}
    assert gateway.shake(query)[1].status == 200


def test_a_student_of_another_session_may_not_connect(gateway: Gateway, classroom: Classroom, claims: None) -> None:
    assert gateway.shake({"session_id": classroom.id}, bearer("eve"))[1].refusal == (403, "unauthorized")


# One connection for each user


def test_the_newest_connection_of_a_user_wins(gateway: Gateway, classroom: Classroom) -> None:
    first = gateway.join(classroom, "ann")
    second = gateway.join(classroom, "ann")
    classroom.say("hello")
    gateway.run()
    assert gateway.texts(first) == [COMPLETE, ENDED]
    assert gateway.frames[first][-1]["content"]["reason"] == "Connection replaced by new instance"
    assert (gateway.texts(second), gateway.closed) == ([COMPLETE, "hello"], [first])
    assert classroom.ask("get").body["connection_count"] == 1


def test_the_late_end_of_a_replaced_connection_hits_nothing(gateway: Gateway, classroom: Classroom) -> None:
    first, second = gateway.join(classroom, "ann"), gateway.join(classroom, "ann")
    gateway.leave(first)
    gateway.leave(first)
    classroom.say("hello")
    gateway.run()
    assert gateway.texts(second) == [COMPLETE, "hello"]


def test_a_replaced_connection_that_is_still_getting_its_history_stops(gateway: Gateway, classroom: Classroom) -> None:
    classroom.say("before")
    first, _answer = gateway.handshake(classroom.id, "ann")
    second, _answer = gateway.handshake(classroom.id, "ann")
    gateway.run()
    assert gateway.texts(first) == [ENDED]
    assert gateway.texts(second) == ["before", COMPLETE]


def test_of_many_handshakes_of_one_user_at_once_one_stays(gateway: Gateway, classroom: Classroom) -> None:
    answers = at_once(8, lambda _: gateway.handshake(classroom.id, "ann"))
    gateway.run()
    assert {answer.status for _, answer in answers} == {200}
    assert (len(gateway.open), classroom.ask("get").body["connection_count"]) == (1, 1)


def test_a_replaced_connection_whose_replay_was_lost_is_swept(
    gateway: Gateway, classroom: Classroom, freeze: Freeze
) -> None:
    clock = freeze("2026-11-22 08:00:00")
    first = gateway.join(classroom, "ann")
    second, _answer = gateway.handshake(classroom.id, "ann")
    gateway.started.clear()
    clock.tick(16)
    gateway.sweep()
    assert (gateway.texts(first)[-1], gateway.texts(second), gateway.open) == (ENDED, [COMPLETE], {second})


# Who is connected


def test_who_is_connected_is_listed_for_instructors(gateway: Gateway, classroom: Classroom, freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    gateway.join(classroom, "ms_noether")
    clock.tick(1)
    gateway.join(classroom, "ann")
    assert classroom.ask("connections").body == {
        "connections": [
            {"user_id": "ms_noether", "role": "instructor", "connected_at": "2026-11-22T08:00:00.000000Z"},
            {"user_id": "ann", "role": "student", "connected_at": "2026-11-22T08:00:01.000000Z"},
        ]
    }


def test_students_do_not_see_who_is_connected(gateway: Gateway, classroom: Classroom, claims: None) -> None:
    assert call_as(ANN, "connections", classroom.id).refusal == (403, "unauthorized")
    assert call_as(NOETHER, "connections", classroom.id).status == 200


def test_nobody_is_connected_to_a_session_that_does_not_exist() -> None:
    assert call("connections", NOBODYS_ID).refusal == (404, "session_not_found")


def test_sessions_are_listed_with_the_number_of_their_connections(gateway: Gateway, classroom: Classroom) -> None:
    connections = [gateway.join(classroom, who) for who in ("ann", "bob", "ms_noether")]
    gateway.leave(connections[0])
    assert call("list").body["sessions"] == [counted(classroom.session, 2)]


def test_a_connection_that_leaves_gets_nothing_more(gateway: Gateway, classroom: Classroom) -> None:
    ann, teacher = gateway.join(classroom, "ann"), gateway.join(classroom, "ms_noether")
    gateway.leave(ann)
    gateway.send(teacher, broadcast("hello"))
    assert gateway.texts(ann) == [COMPLETE]
