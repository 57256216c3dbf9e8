"""The checker itself, on forged records: a correct one passes, and one that breaks a promise is found by its name."""

import itertools
from typing import Any

import msgspec
import pytest

from tests.proof.checker import PROMISES, violations
from tests.proof.record import OK, UNANSWERED, Call, Fields

START, END = "2026-11-22T08:00:00.000000Z", "2026-11-22T08:30:00.000000Z"
ROOM, OTHER, THIRD = "room-id", "other-id", "third-id"
EVERYBODY = {"user_id": None, "role": None}
READINGS = itertools.count()
ANN = {"user_id": "ann", "role": "student"}
NOBODY = {"from_user": "noether", "role": "instructor", "to_user": None}


def session(session_id: str = ROOM, name: str = "room", **changes: object) -> Fields:
    """A session as it is shown, active unless changed."""
    return {"id": session_id, "name": name, "start_time": START, "end_time": None, "status": "active"} | changes


def ended(session_id: str = ROOM, name: str = "room") -> Fields:
    """The same after its end."""
    return session(session_id, name, end_time=END, status="ended")


def call(
    operation: str, begin: float, end: float, outcome: str = OK, value: Any = None, /, **arguments: object
) -> Call:
    """One call, of a caller of its own."""
    return Call(
        caller=f"caller-{begin}",
        operation=operation,
        arguments=arguments,
        begin=begin,
        end=end,
        outcome=outcome,
        value=value or {},
    )


def create(begin: float, end: float, value: Fields, **arguments: object) -> Call:
    """An acknowledged create by noether for ann and bob."""
    asked = {"name": value["name"], "instructor_id": "noether", "student_ids": ["ann", "bob"], "key": None}
    return call("create", begin, end, OK, value, **asked | arguments)


def store(begin: float, end: float, token: str, outcome: str = OK, **arguments: object) -> Call:
    """A store, by default of a broadcast that is acknowledged."""
    asked = {"session_id": ROOM, "token": token, "type": "instructor_broadcast", "key": None} | NOBODY | arguments
    return call("store", begin, end, outcome, acknowledged(token) if outcome == OK else {}, **asked)


def from_student(user: str) -> Fields:
    """The arguments of a message to the instructors."""
    return {"type": "instructor_inbox", "from_user": user, "role": "student"}


def acknowledged(token: str) -> Fields:
    """What the store of a message is answered: its timestamp is made of the number in its name."""
    return {"id": f"id-{token}", "timestamp": f"2026-11-22T08:00:{int(token[1:]):02}.000000Z"}


def message(token: str) -> list[str]:
    """The same in a history."""
    return [token, *acknowledged(token).values()]


def history(begin: float, end: float, *tokens: str, **arguments: object) -> Call:
    """A history in one page."""
    page = {"messages": [message(token) for token in tokens], "next_cursor": None}
    asked = {"session_id": ROOM, "reading": f"reading-{next(READINGS)}", "limit": 1000, **EVERYBODY}
    return call("history", begin, end, OK, page, **asked | arguments)


def page_of(begin: float, end: float, *sessions: Fields, **arguments: object) -> Call:
    """A list in one page."""
    page = {"sessions": list(sessions), "total_count": len(sessions), "next_cursor": None}
    asked = {"status": "all", "created_by": None, "student_id": None, "reading": f"reading-{next(READINGS)}"}
    return call("list", begin, end, OK, page, **asked | arguments)


def changed(one: Call, **values: object) -> Call:
    """A call with another value."""
    return msgspec.structs.replace(one, value=one.value | values)


def validate(begin: float, end: float, outcome: str = OK, **user: object) -> Call:
    """A validation, by default of ann's."""
    return call("validate", begin, end, outcome, **{"session_id": ROOM} | (user or ANN))


FIRST_PAGE = changed(history(40, 41, "m1", "m2", reading="paged"), next_cursor="behind m2")
CORRECT: dict[str, Call] = {
    "create": create(0, 1, session()),
    "create other": create(2, 3, session(OTHER, "other"), key="k1"),
    "create other again": create(4, 5, session(OTHER, "other"), key="k1"),
    "create unanswered": call(
        "create", 2, 1e9, UNANSWERED, name="third", instructor_id="abel", student_ids=["cleo"], key=None
    ),
    "validate": validate(6, 7),
    "validate noether": validate(6, 7, user_id="noether", role="instructor"),
    "validate stranger": validate(6, 7, "unauthorized", user_id="mallory", role="student"),
    "get": call("get", 8, 9, OK, session(), session_id=ROOM),
    "store m1": store(10, 11, "m1"),
    "store m2": store(12, 13, "m2", **from_student("ann"), key="k2"),
    "store m2 again": store(14, 15, "m2", **from_student("ann"), key="k2"),
    "store with the key of m2": store(14, 15, "m9", "idempotency_key_reused", key="k2"),
    "store m3": store(16, 17, "m3", **from_student("bob")),
    "store m4": store(18, 19, "m4", type="request", to_user="bob"),
    "store m5 unanswered": store(18, 1e9, "m5", UNANSWERED),
    "store m6 timed out": store(18, 20, "m6", "database_timeout"),
    "store m7 refused": store(18, 20, "m7", "database_busy"),
    "history": history(22, 23, "m1", "m2", "m3", "m4", "m6"),
    "history of ann": history(22, 23, "m1", "m2", "m6", **ANN),
    "list": page_of(24, 25, session(), session(OTHER, "other"), reading="listed"),
    "end": call("end", 30, 34, OK, ended(), session_id=ROOM),
    "end beaten": call("end", 31, 35, "session_already_ended", {"end_time": END}, session_id=ROOM),
    "validate during the end": validate(32, 38),
    "list during the end": page_of(32, 38, session(), session(OTHER, "other"), status="active"),
    "end unanswered": call("end", 30, 1e9, UNANSWERED, session_id=OTHER),
    "first page": FIRST_PAGE,
    "second page": history(42, 43, "m3", "m4", "m6", reading="paged"),
    "validate ended": validate(44, 45, "session_ended"),
    "store to ended": store(44, 45, "m8", "session_ended"),
    "store m2 once more": store(46, 47, "m2", **from_student("ann"), key="k2"),
    "get ended": call("get", 46, 47, OK, ended(), session_id=ROOM),
    "list ended": page_of(48, 49, ended(), status="ended", student_id="ann"),
    "list active": page_of(48, 49, status="active", created_by="noether"),
    "list third": page_of(50, 51, session(THIRD, "third", start_time=END), created_by="abel"),
    "no session": call("get", 50, 51, "session_not_found", session_id="nobody's"),
}
"""Two sessions and one whose creator died: the first ends by one of two ends, the second perhaps by a killed one."""

Forgery = dict[str, Call | None]
"""What is different from the correct record: calls put in, put in another's place, or left out."""


def forged(promise: str, name: str, forgery: Forgery) -> Any:
    """A line of the table."""
    return pytest.param(promise, forgery, id=f"{promise}: {name}")


FORGERIES = [
    forged("ended_sessions_stay_ended", "validate", {"validate ended": validate(44, 45)}),
    forged("ended_sessions_stay_ended", "get", {"get ended": call("get", 46, 47, OK, session(), session_id=ROOM)}),
    forged(
        "ended_sessions_stay_ended",
        "list",
        {"late": page_of(48, 49, session(), session(OTHER, "other"), status="active")},
    ),
    forged("ended_sessions_stay_ended", "store", {"store to ended": store(44, 45, "m8")}),
    forged(
        "ended_sessions_stay_ended",
        "stranger turned away for the wrong reason",
        {"late": validate(44, 45, "unauthorized", user_id="mallory", role="student")},
    ),
    forged(
        "ended_sessions_stay_ended",
        "seen ended, although nobody was told that an end won",
        {
            "seen ended": call("get", 60, 61, OK, ended(OTHER, "other"), session_id=OTHER),
            "seen active": call("get", 62, 63, OK, session(OTHER, "other"), session_id=OTHER),
        },
    ),
    forged("created_sessions_are_found", "validate", {"validate": validate(6, 7, "session_not_found")}),
    forged("created_sessions_are_found", "get", {"get": call("get", 8, 9, "session_not_found", session_id=ROOM)}),
    forged(
        "created_sessions_are_found", "end", {"end beaten": call("end", 31, 35, "session_not_found", session_id=ROOM)}
    ),
    forged("created_sessions_are_found", "store", {"late": store(20, 21, "m8", "session_not_found")}),
    forged(
        "created_sessions_are_found",
        "history",
        {"history": call("history", 22, 23, "session_not_found", session_id=ROOM, reading="none", **EVERYBODY)},
    ),
    forged("one_end_wins", "two at once", {"end beaten": call("end", 31, 35, OK, ended(), session_id=ROOM)}),
    forged(
        "one_end_wins",
        "one that came after the session had been seen ended",
        {
            "seen ended": call("get", 60, 61, OK, ended(OTHER, "other"), session_id=OTHER),
            "late end": call("end", 62, 63, OK, ended(OTHER, "other"), session_id=OTHER),
        },
    ),
    forged("nothing_ends_by_itself", "before any end", {"validate": validate(6, 7, "session_ended")}),
    forged(
        "nothing_ends_by_itself",
        "by an end that failed",
        {"end": call("end", 30, 34, "database_busy", session_id=ROOM)},
    ),
    forged(
        "every_end_time_is_the_same",
        "the beaten one is told another",
        {"end beaten": call("end", 31, 35, "session_already_ended", {"end_time": START}, session_id=ROOM)},
    ),
    forged("every_end_time_is_the_same", "get", {"get ended": changed(CORRECT["get ended"], end_time=START)}),
    forged(
        "every_end_time_is_the_same",
        "before the start",
        {"list third": page_of(50, 51, session(THIRD, "third", start_time=END, end_time=START, status="ended"))},
    ),
    forged("sessions_never_change", "name", {"get": changed(CORRECT["get"], name="other name")}),
    forged("sessions_never_change", "start", {"get": changed(CORRECT["get"], start_time=END)}),
    forged("sessions_never_change", "half ended", {"get ended": changed(CORRECT["get ended"], end_time=None)}),
    forged(
        "sessions_are_created_once",
        "a repeated create makes another",
        {"create other again": create(4, 5, session(THIRD, "other"), key="k1")},
    ),
    forged("sessions_are_created_once", "by nobody", {"create unanswered": None}),
    forged(
        "sessions_are_created_once",
        "by a create that failed",
        {"create unanswered": msgspec.structs.replace(CORRECT["create unanswered"], outcome="database_busy")},
    ),
    forged(
        "sessions_are_created_once",
        "before it was asked for",
        {"create unanswered": msgspec.structs.replace(CORRECT["create unanswered"], begin=52)},
    ),
    forged("lists_neither_skip_nor_repeat", "skips", {"list": page_of(24, 25, session())}),
    forged("lists_neither_skip_nor_repeat", "skips what has ended", {"list ended": page_of(48, 49, status="ended")}),
    forged(
        "lists_neither_skip_nor_repeat",
        "skips between two pages",
        {
            "list": changed(page_of(24, 25, session(OTHER, "other"), reading="l"), next_cursor="c", total_count=2),
            "list, second page": page_of(26, 27, reading="l"),
        },
    ),
    forged(
        "lists_neither_skip_nor_repeat",
        "repeats on the second page",
        {
            "list": changed(CORRECT["list"], next_cursor="c", total_count=3),
            "more": page_of(26, 27, session(), reading="listed"),
        },
    ),
    forged(
        "lists_neither_skip_nor_repeat",
        "by id in the wrong direction",
        {"list": page_of(24, 25, session(OTHER, "other"), session())},
    ),
    forged(
        "lists_neither_skip_nor_repeat",
        "oldest first",
        {"list third": page_of(50, 51, session(OTHER, "other"), ended(), session(THIRD, "third", start_time=END))},
    ),
    forged(
        "lists_hold_what_was_asked_for", "creator", {"list third": changed(CORRECT["list third"], sessions=[ended()])}
    ),
    forged("lists_hold_what_was_asked_for", "student", {"late": page_of(52, 53, ended(), student_id="cleo")}),
    forged("lists_hold_what_was_asked_for", "status", {"late": page_of(52, 53, ended(), status=None)}),
    forged("lists_hold_what_was_asked_for", "total", {"list": changed(CORRECT["list"], total_count=3)}),
    forged(
        "lists_hold_what_was_asked_for",
        "total of a list of many pages",
        {"list": changed(CORRECT["list"], next_cursor="c")},
    ),
    forged("acknowledged_messages_are_kept", "instructors", {"history": history(22, 23, "m1", "m2", "m3")}),
    forged("acknowledged_messages_are_kept", "the student's", {"history of ann": history(22, 23, "m1", "m6", **ANN)}),
    forged("acknowledged_messages_are_kept", "first of all", {"second page": None, "first page": history(40, 41)}),
    forged(
        "acknowledged_messages_are_kept",
        "between two pages",
        {"second page": history(42, 43, "m4", "m6", reading="paged")},
    ),
    forged(
        "no_message_comes_twice", "on two pages", {"second page": history(42, 43, "m2", "m3", "m4", reading="paged")}
    ),
    forged("no_message_comes_twice", "on one page", {"history": history(22, 23, "m1", "m1", "m2", "m3", "m4")}),
    forged(
        "all_readers_see_one_order",
        "what came at once is turned round",
        {"late": history(52, 53, "m1", "m2", "m3", "m6", "m4")},
    ),
    forged(
        "all_readers_see_one_order",
        "what did not stand yet is seen by one only",
        {"late": history(52, 53, "m1", "m2", "m3", "m4", "m5"), "m6": history(54, 55, "m1", "m2", "m3", "m4", "m6")},
    ),
    forged("all_readers_see_one_order", "a student", {"history of ann": history(22, 23, "m2", "m1", **ANN)}),
    forged(
        "timestamps_follow_the_order",
        "a clock that stepped back",
        {"history": changed(CORRECT["history"], messages=[message("m1"), ["m2", "id-m2", START]])},
    ),
    forged(
        "the_order_follows_real_time",
        "an earlier message comes later",
        {label: None for label in CORRECT if "history" in label or "page" in label}
        | {"late": history(52, 53, "m2", "m1", "m3", "m4")},
    ),
    forged("messages_come_from_stores", "nobody's", {"store m6 timed out": None}),
    forged("messages_come_from_stores", "a refused one", {"late": history(52, 53, "m1", "m2", "m3", "m4", "m6", "m7")}),
    forged("messages_come_from_stores", "not sent yet", {"early": history(8, 9, "m1")}),
    forged("messages_come_from_stores", "of another session", {"late": history(52, 53, "m1", session_id=OTHER)}),
    forged(
        "messages_come_from_stores",
        "with another time",
        {"history": changed(CORRECT["history"], messages=[["m1", "id-m1", END]])},
    ),
    forged(
        "messages_come_from_stores",
        "with another id",
        {"history": changed(CORRECT["history"], messages=[["m1", "id-m2", message("m1")[2]]])},
    ),
    forged(
        "no_message_lands_in_an_ended_session",
        "unanswered, and found",
        {
            "late store": store(50, 1e9, "m8", UNANSWERED),
            "late": history(60, 61, "m1", "m2", "m3", "m4", "m6", "m8"),
        },
    ),
    forged(
        "no_message_is_later_than_the_end",
        "end",
        {label: changed(CORRECT[label], end_time=message("m2")[2]) for label in ("end", "get ended", "end beaten")},
    ),
    forged("students_read_nothing_private", "to another", {"history of ann": history(22, 23, "m1", "m2", "m4", **ANN)}),
    forged(
        "students_read_nothing_private", "from another", {"history of ann": history(22, 23, "m1", "m2", "m3", **ANN)}
    ),
    forged(
        "students_read_nothing_private",
        "from an instructor of the same name",
        {
            "store m4": store(18, 19, "m4", type="request", from_user="ann", to_user="bob"),
            "history of ann": history(22, 23, "m1", "m2", "m4", "m6", **ANN),
        },
    ),
    forged(
        "only_members_are_let_in", "a stranger", {"validate stranger": validate(6, 7, user_id="cleo", role="student")}
    ),
    forged("only_members_are_let_in", "not a member", {"validate": validate(6, 7, "unauthorized")}),
    forged(
        "only_members_are_let_in",
        "not an instructor",
        {"late": validate(6, 7, "unauthorized", user_id="abel", role="instructor")},
    ),
    forged("only_members_are_let_in", "a stranger writes", {"late": store(18, 19, "m8", **from_student("cleo"))}),
    forged(
        "only_members_are_let_in", "a stranger reads", {"late": history(52, 53, "m1", user_id="cleo", role="student")}
    ),
    forged(
        "a_key_has_one_answer",
        "a repeated store is answered anew",
        {"store m2 again": changed(CORRECT["store m2 again"], id="id-m8")},
    ),
    forged("a_key_has_one_answer", "for two things", {"store with the key of m2": store(14, 15, "m9", key="k2")}),
    forged(
        "a_key_has_one_answer", "refused without use", {"late": store(20, 21, "m9", "idempotency_key_reused", key="k3")}
    ),
    forged(
        "a_key_has_one_answer",
        "refused for what failed",
        {
            "store m7 refused": store(18, 20, "m7", "database_busy", key="k4"),
            "late": store(20, 21, "m9", "idempotency_key_reused", key="k4"),
        },
    ),
    forged("failures_are_foreseen", "a bug", {"late": store(20, 21, "m9", "internal_error")}),
    forged("failures_are_foreseen", "damage", {"late": validate(20, 21, "database_corrupt")}),
    forged(
        "failures_are_foreseen",
        "ended sessions have a history",
        {"late": call("history", 52, 53, "session_ended", session_id=ROOM, reading="none", **EVERYBODY)},
    ),
]


def test_a_correct_record_passes() -> None:
    assert violations(CORRECT.values()) == []


@pytest.mark.parametrize(("promise", "forgery"), FORGERIES)
def test_a_broken_promise_is_found(promise: str, forgery: Forgery) -> None:
    record = [one for one in (CORRECT | forgery).values() if one is not None]
    assert promise in {violation.promise for violation in violations(record)}


def test_every_promise_is_broken_by_a_forgery() -> None:
    assert {promise.__name__ for promise in PROMISES} == {line.values[0] for line in FORGERIES}
