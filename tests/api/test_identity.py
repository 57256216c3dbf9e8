"""Who may what when callers are verified, on both engines."""

from typing import Any

import pytest

from shared import environment
from tests.conftest import (
    NOBODYS_ID,
    Answer,
    Classroom,
    Context,
    Json,
    event,
    invoke,
    message_body,
    open_classroom,
    session_body,
)

ANN, BOB, EVE = ("ann", "student"), ("bob", "student"), ("eve", "student")
NOETHER, ABEL = ("ms_noether", "instructor"), ("mr_abel", "instructor")
Who = tuple[str, str]

OK = (200, None)
UNAUTHORIZED = (403, "unauthorized")
MISMATCH = (403, "identity_mismatch")
NOT_FOUND = (404, "session_not_found")


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers are verified from here on."""
    verify_callers(monkeypatch)


def verify_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers are verified from here on."""
    monkeypatch.setenv("SWITCHBOARD_IDENTITY", "claims")
    environment.reset()


def by_lambda(who: Who) -> Json:
    """What a Lambda authorizer's answer becomes in an HTTP API's event."""
    return {"lambda": {"user_id": who[0], "role": who[1]}}


def by_jwt(who: Who) -> Json:
    """What a JWT authorizer's claims become, each of them a text."""
    roles = "[teacher]" if who[1] == "instructor" else "[]"
    return {"jwt": {"claims": {"sub": who[0], "roles": roles, "iss": "https://issuer.example"}, "scopes": None}}


def by_policy(who: Who) -> Json:
    """What an IAM policy's context becomes in a REST or WebSocket event."""
    return {"principalId": who[0], "user_id": who[0], "role": who[1], "integrationLatency": 3}


def by_user_pool(who: Who) -> Json:
    """What a user pool authorizer's claims become in a REST event."""
    return {"claims": {"sub": who[0], "cognito:groups": "teacher" if who[1] == "instructor" else "class-7"}}


def call_as(who: Who | None, name: str, session_id: str | None = None, /, **given: Any) -> Answer:
    """Call a function as somebody, or as a stranger."""
    return invoke(name, event_as(by_lambda(who) if who else None, name, session_id, **given))


def event_as(authorizer: Any, name: str, session_id: str | None = None, /, **given: Any) -> Json:
    """The event of a call with what an authorizer has said."""
    made = event(name, session_id, **given)
    if authorizer is not None:
        made["requestContext"]["authorizer"] = authorizer
    return made


def calls(room: Classroom) -> dict[str, tuple[str, str | None, Json]]:
    """A good call of each function but `health` that names nobody."""
    broadcast = {"type": "instructor_broadcast", "content": {}}
    return {
        "create": ("create", None, {"body": {"name": "Algebra", "student_ids": ["ann"]}}),
        "list": ("list", None, {}),
        "get": ("get", room.id, {}),
        "validate": ("validate", room.id, {}),
        "store": ("store", room.id, {"body": broadcast}),
        "history": ("history", room.id, {}),
        "end": ("end", room.id, {}),
    }


NAMES = ("create", "list", "get", "validate", "store", "history", "end")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("authorizer", [by_lambda, by_jwt, by_policy, by_user_pool])
def test_an_instructor_may_call_everything(classroom: Classroom, claims: None, name: str, authorizer: Any) -> None:
    function, session_id, given = calls(classroom)[name]
    answer = invoke(function, event_as(authorizer(NOETHER), function, session_id, **given))
    assert answer.status in (200, 201), answer.text


@pytest.mark.parametrize("name", NAMES)
def test_a_stranger_may_call_nothing(classroom: Classroom, claims: None, name: str) -> None:
    function, session_id, given = calls(classroom)[name]
    answer = call_as(None, function, session_id, **given)
    assert (answer.refusal, answer.headers["www-authenticate"]) == ((401, "unauthenticated"), "Bearer")


FORGED = [
    {},
    "ann",
    [],
    {"lambda": None},
    {"lambda": {}},
    {"lambda": {"user_id": "ann"}},
    {"lambda": {"user_id": "ann", "role": "teacher"}},
    {"lambda": {"user_id": "an n", "role": "student"}},
    {"lambda": {"user_id": 7, "role": "student"}},
    {"lambda": {"user_id": "ann", "role": ["instructor"]}},
    {"user_id": "ann", "role": "instructor"},
    {"jwt": {"claims": {}}},
    {"jwt": {"claims": {"sub": ""}}},
    {"jwt": {"scopes": ["instructor"]}},
    {"iam": {"userId": "ann"}},
]


@pytest.mark.parametrize("authorizer", FORGED, ids=str)
def test_half_an_identity_is_none(classroom: Classroom, claims: None, authorizer: Any) -> None:
    answer = invoke("get", event_as(authorizer, "get", classroom.id))
    assert answer.refusal == (401, "unauthenticated")


@pytest.mark.parametrize("who", [ANN, NOETHER])
@pytest.mark.parametrize("header", ["x-amzn-user", "x-amzn-oidc-data", "authorization", "x-user-id"])
def test_no_header_is_believed(classroom: Classroom, claims: None, who: Who, header: str) -> None:
    answer = call_as(None, "get", classroom.id, headers={header: who[0]})
    assert answer.refusal == (401, "unauthenticated")


def test_no_body_brings_an_identity_along(claims: None) -> None:
    smuggled = session_body(requestContext={"authorizer": by_lambda(NOETHER)})
    assert call_as(None, "create", body=smuggled).refusal == (401, "unauthenticated")


def test_a_direct_invocation_is_the_operators(classroom: Classroom, claims: None) -> None:
    assert invoke("get", {"pathParameters": {"session_id": classroom.id}}).status == 200


def test_keys_that_cannot_be_fetched_are_no_refusal(classroom: Classroom, claims: None) -> None:
    answer = invoke("get", event_as({"lambda": {"identity_unavailable": "true"}}, "get", classroom.id))
    assert (answer.refusal, answer.headers["retry-after"]) == ((503, "identity_unavailable"), "5")


@pytest.mark.parametrize(
    ("who", "name", "expected"),
    [
        (ANN, "create", UNAUTHORIZED),
        (ANN, "end", UNAUTHORIZED),
        (ANN, "get", OK),
        (ANN, "list", OK),
        (ANN, "validate", OK),
        (ANN, "history", OK),
        (EVE, "create", UNAUTHORIZED),
        (EVE, "end", UNAUTHORIZED),
        (EVE, "get", NOT_FOUND),
        (EVE, "list", OK),
        (EVE, "validate", UNAUTHORIZED),
        (EVE, "history", UNAUTHORIZED),
        (ABEL, "get", OK),
        (ABEL, "validate", OK),
        (ABEL, "history", OK),
        (ABEL, "end", OK),
    ],
)
def test_who_may_what(classroom: Classroom, claims: None, who: Who, name: str, expected: tuple[int, object]) -> None:
    function, session_id, given = calls(classroom)[name]
    assert call_as(who, function, session_id, **given).refusal == expected


def test_a_student_sends_what_students_send(classroom: Classroom, claims: None) -> None:
    answer = call_as(ANN, "store", classroom.id, body={"type": "analytics", "content": {}})
    assert (answer.status, answer.body["message"]["from_user"]) == (201, "ann")


def test_a_student_broadcasts_nothing(classroom: Classroom, claims: None) -> None:
    answer = call_as(ANN, "store", classroom.id, body={"type": "instructor_broadcast", "content": {}})
    assert answer.refusal == UNAUTHORIZED


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("create", {"body": session_body(instructor_id="mr_abel")}),
        ("validate", {"query": {"user_id": "mr_abel"}}),
        ("validate", {"query": {"role": "student"}}),
        ("history", {"query": {"user_id": "ann", "role": "student"}}),
        ("store", {"body": message_body(from_user="mr_abel")}),
        ("store", {"body": message_body("analytics", from_user="ms_noether", role="student")}),
    ],
)
def test_nobody_speaks_for_somebody_else(classroom: Classroom, claims: None, name: str, given: Json) -> None:
    session_id = None if name == "create" else classroom.id
    assert call_as(NOETHER, name, session_id, **given).refusal == MISMATCH


def test_a_mismatch_names_the_field(classroom: Classroom, claims: None) -> None:
    assert call_as(ANN, "validate", classroom.id, query={"role": "instructor"}).detail.startswith("role:")


def test_who_names_the_caller_is_not_refused(classroom: Classroom, claims: None) -> None:
    answer = call_as(ANN, "validate", classroom.id, query={"user_id": "ann", "role": "student"})
    assert answer.body == {"valid": True, "session_id": classroom.id, "user_id": "ann", "role": "student"}


def test_a_student_lists_own_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, _theirs = (open_classroom(student_ids=students).id for students in (["ann", "bob"], ["eve"]))
    verify_callers(monkeypatch)
    listed = call_as(BOB, "list").body
    assert ([session["id"] for session in listed["sessions"]], listed["total_count"]) == ([ours], 1)


def test_a_student_lists_nobody_elses_sessions(claims: None) -> None:
    assert call_as(BOB, "list", query={"student_id": "ann"}).refusal == MISMATCH


def test_a_student_may_filter_own_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = open_classroom(student_ids=["bob"]).id
    verify_callers(monkeypatch)
    listed = call_as(BOB, "list", query={"created_by": "ms_noether", "student_id": "bob"}).body["sessions"]
    assert [session["id"] for session in listed] == [ours]


def test_a_session_that_is_kept_secret_looks_like_none(classroom: Classroom, claims: None) -> None:
    theirs, none = call_as(EVE, "get", classroom.id), call_as(EVE, "get", NOBODYS_ID)
    assert {**theirs.body, "request_id": ""} == {**none.body, "request_id": ""}


def test_a_student_reads_own_messages_alone(classroom: Classroom, claims: None) -> None:
    for who in (ANN, BOB):
        call_as(who, "store", classroom.id, body={"type": "analytics", "content": {}})
    read = call_as(ANN, "history", classroom.id).body["messages"]
    assert [message["from_user"] for message in read] == ["ann"]


def test_end_can_be_the_creators_alone(classroom: Classroom, claims: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_END_ONLY_OWN", "1")
    environment.reset()
    assert call_as(ABEL, "end", classroom.id).refusal == UNAUTHORIZED
    assert call_as(NOETHER, "end", classroom.id).status == 200


def test_a_session_that_another_cannot_end_goes_on(
    classroom: Classroom, claims: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_END_ONLY_OWN", "1")
    environment.reset()
    call_as(ABEL, "end", classroom.id)
    assert call_as(ANN, "validate", classroom.id).status == 200


def test_two_callers_with_one_key_get_answers_of_their_own(claims: None) -> None:
    body = {"name": "Algebra", "student_ids": ["ann"]}
    answers = [call_as(who, "create", body=body, headers={"Idempotency-Key": "one"}) for who in (NOETHER, ABEL)]
    assert [answer.body["session"]["created_by"] for answer in answers] == ["ms_noether", "mr_abel"]


def test_a_repeated_call_is_answered_alike(claims: None) -> None:
    body = {"name": "Algebra", "student_ids": ["ann"]}
    answers = [call_as(NOETHER, "create", body=body, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert answers[0].text == answers[1].text


def test_a_stranger_learns_the_status_alone(claims: None) -> None:
    assert (call_as(None, "health").status, call_as(None, "health").body) == (200, {"status": "healthy"})


def test_who_cannot_be_verified_now_is_a_stranger_to_health(claims: None) -> None:
    answer = invoke("health", event_as({"lambda": {"identity_unavailable": "true"}}, "health"))
    assert (answer.status, answer.body) == (200, {"status": "healthy"})


def test_a_verified_caller_learns_how_the_service_is(claims: None) -> None:
    assert "writer" in call_as(NOETHER, "health").body


def test_a_stranger_learns_of_an_unhealthy_service(claims: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", "sqlite:////nowhere/at/all.db")
    environment.reset()
    assert (call_as(None, "health").status, call_as(None, "health").body) == (503, {"status": "unhealthy"})


def test_under_trust_what_an_authorizer_says_changes_nothing(classroom: Classroom) -> None:
    answer = invoke("end", event_as(by_lambda(EVE), "end", classroom.id))
    assert answer.status == 200


def test_no_log_has_what_a_caller_sent(classroom: Classroom, claims: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    call_as(ANN, "store", classroom.id, body={"type": "analytics", "content": {"text": "my secret"}})
    call_as(ANN, "create", body=session_body(instructor_id="my_secret"))
    assert "secret" not in caplog.text


def test_a_refusal_is_logged_with_its_caller(
    classroom: Classroom, claims: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    call_as(ANN, "end", classroom.id)
    assert "end refused to student ann: unauthorized" in caplog.text


def test_a_stranger_is_refused_before_the_database_is_asked(claims: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", "sqlite:////nowhere/at/all.db")
    environment.reset()
    assert call_as(None, "list").refusal == (401, "unauthenticated")


def test_a_setting_that_is_misspelt_opens_nothing(classroom: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_IDENTITY", "claim")
    environment.reset()
    assert invoke("get", event("get", classroom.id), Context()).status == 500
