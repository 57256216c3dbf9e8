"""What callers are promised about messages, idempotency keys and refusals, in the same manner."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from tests.proof.evidence import ENDED, Evidence, Reading
from tests.proof.record import OK, TIMED_OUT, UNANSWERED, Call, Fields
from tests.proof.session_promises import Finding

_BY_STUDENTS: Final = ("instructor_inbox", "request_response", "analytics")
_ALWAYS_POSSIBLE: Final = {OK, UNANSWERED, TIMED_OUT, "database_busy"}
_POSSIBLE: Final = {
    "create": {"idempotency_key_reused"},
    "end": {"session_not_found", "session_already_ended"},
    "get": {"session_not_found"},
    "validate": {"session_not_found", "session_ended", "unauthorized"},
    "list": set[str](),
    "store": {
        "session_not_found",
        "session_ended",
        "unauthorized",
        "invalid_recipient",
        "idempotency_key_reused",
    },
    "history": {"session_not_found", "unauthorized"},
}


def acknowledged_messages_are_kept(evidence: Evidence) -> Iterator[Finding]:
    """No acknowledged message is missing from a later history of a reader who may see it."""
    for session_id, readings in evidence.histories.items():
        for reading in readings:
            found = {message[0] for message in reading.messages}
            for store in evidence.stores_by_session.get(session_id, []):
                due = store.acknowledged < reading.last_begin and _may_see(reading, store.asked)
                if reading.complete and due and store.asked["token"] not in found:
                    yield f"message {store.asked['token']} is missing", [*store.calls, *reading.pages]


def no_message_comes_twice(evidence: Evidence) -> Iterator[Finding]:
    """A history holds a message once, however often its store was repeated."""
    for readings in evidence.histories.values():
        for reading in readings:
            for token, times in Counter(message[0] for message in reading.messages).items():
                if times > 1:
                    yield f"message {token} comes {times} times", reading.pages


def all_readers_see_one_order(evidence: Evidence) -> Iterator[Finding]:
    """A history is the beginning of the session's one sequence of messages, or of what a student may see of it."""
    for session_id, readings in evidence.histories.items():
        order = evidence.orders[session_id]
        for reading in readings:
            seen = [message[0] for message in reading.messages]
            expected = [token for token in order if _may_see(reading, _asked(evidence, token))]
            common = min(len(seen), len(expected))
            if seen[:common] != expected[:common]:
                yield f"histories of {session_id} differ in their order", reading.pages


def timestamps_follow_the_order(evidence: Evidence) -> Iterator[Finding]:
    """A message's timestamp is never earlier than that of the message before it."""
    for session_id, readings in evidence.histories.items():
        for reading in readings:
            times = [message[2] for message in reading.messages]
            if times != sorted(times):
                yield f"timestamps of {session_id} go backwards", reading.pages


def no_message_is_later_than_the_end(evidence: Evidence) -> Iterator[Finding]:
    """A session's end time is never earlier than the timestamp of its last message."""
    for session_id, readings in evidence.histories.items():
        last = max((message[2] for reading in readings for message in reading.messages), default="")
        for sighting in evidence.sightings[session_id]:
            if last > (sighting.shown.get("end_time") or last):
                yield f"{session_id} ended before its last message", [sighting.call]


def the_order_follows_real_time(evidence: Evidence) -> Iterator[Finding]:
    """A message that was acknowledged before another one was sent comes before it."""
    for order in evidence.orders.values():
        latest: tuple[float, str] = (-math.inf, "")  # of the messages so far: the one that was sent last
        for token in order:
            store = evidence.stores.get(token)
            if store is None:
                continue
            if store.acknowledged < latest[0]:
                later = evidence.stores[latest[1]]
                yield f"message {token} comes behind the later {latest[1]}", [*store.calls, *later.calls]
            latest = max(latest, (store.begin, token))


def messages_come_from_stores(evidence: Evidence) -> Iterator[Finding]:
    """A history holds what a store of this session asked for, had begun and not failed, as it was acknowledged."""
    for session_id, readings in evidence.histories.items():
        for page in (page for reading in readings for page in reading.pages):
            for token, message_id, timestamp in page.value["messages"]:
                store = evidence.stores.get(token)
                if store is None or not store.may_be_committed or store.begin > page.end:
                    yield f"nobody can have stored message {token}", [page]
                elif store.asked["session_id"] != session_id:
                    yield f"message {token} is of another session", [*store.calls, page]
                elif any(call.value != {"id": message_id, "timestamp": timestamp} for call in _made(store.calls)):
                    yield f"message {token} is not as it was acknowledged", [*store.calls, page]


def no_message_lands_in_an_ended_session(evidence: Evidence) -> Iterator[Finding]:
    """A message is not in a session that had been seen ended before the message was sent."""
    for session_id, order in evidence.orders.items():
        ended = evidence.first(session_id, ENDED)
        for token in order:
            store = evidence.stores.get(token)
            if store is not None and store.begin > ended:
                yield f"message {token} was stored after the end of {session_id}", store.calls


def students_read_nothing_private(evidence: Evidence) -> Iterator[Finding]:
    """A student's history holds what the student sent or was sent, and broadcasts."""
    for readings in evidence.histories.values():
        for reading in readings:
            for token, _id, _timestamp in reading.messages:
                if not _may_see(reading, _asked(evidence, token)):
                    yield f"message {token} is not for {reading.student}", reading.pages


def only_members_are_let_in(evidence: Evidence) -> Iterator[Finding]:
    """A student validates, stores and reads exactly in the sessions that list the student; an instructor in all."""
    for call in evidence.of("validate", "store", "history"):
        create = evidence.created.get(call.arguments["session_id"])
        if create is None or call.outcome not in (OK, "unauthorized"):
            continue
        user = call.arguments["from_user" if call.operation == "store" else "user_id"]
        member = call.arguments["role"] != "student" or user in create.asked["student_ids"]
        if member != (call.outcome == OK):
            yield f"{call.operation} by {user}: {call.outcome}", [*create.calls, call]


def a_key_has_one_answer(evidence: Evidence) -> Iterator[Finding]:
    """Calls with one key ask for one thing and are answered alike; the others learn that the key was used."""
    used = defaultdict(list)
    for call in evidence.of("create", "store"):
        if call.arguments["key"] is not None:
            used[call.operation, call.arguments.get("session_id"), call.arguments["key"]].append(call)
    for (operation, _session, key), calls in used.items():
        made = _made(calls)
        if any(call.value != made[0].value or call.arguments != made[0].arguments for call in made):
            yield f"{operation} with key {key} was answered in several ways", made
        for call in calls:
            if call.outcome == "idempotency_key_reused" and not _used_before(call, calls):
                yield f"{operation} with key {key} was refused, but nobody can have used the key", [call]


def _used_before(refused: Call, calls: list[Call]) -> bool:
    return any(
        call.may_be_committed and call.begin < refused.end and call.arguments != refused.arguments for call in calls
    )


def failures_are_foreseen(evidence: Evidence) -> Iterator[Finding]:
    """A correct call on a sound database fails in the ways that the contract tells, and in no other."""
    for call in evidence.calls:
        if call.outcome not in _ALWAYS_POSSIBLE | _POSSIBLE[call.operation]:
            yield f"{call.operation}: {call.outcome}", [call]


def _may_see(reading: Reading, asked: Fields) -> bool:
    """Whether a message is one for a history's reader."""
    student = reading.student
    if student is None or not asked:
        return True
    sent = asked["from_user"] == student and asked["type"] in _BY_STUDENTS
    return sent or asked["to_user"] == student or asked["type"] == "instructor_broadcast"


def _asked(evidence: Evidence, token: str) -> Fields:
    store = evidence.stores.get(token)
    return {} if store is None else store.asked


def _made(calls: list[Call]) -> list[Call]:
    return [call for call in calls if call.outcome == OK]


PROMISES = (
    acknowledged_messages_are_kept,
    no_message_comes_twice,
    all_readers_see_one_order,
    timestamps_follow_the_order,
    no_message_is_later_than_the_end,
    the_order_follows_real_time,
    messages_come_from_stores,
    no_message_lands_in_an_ended_session,
    students_read_nothing_private,
    only_members_are_let_in,
    a_key_has_one_answer,
    failures_are_foreseen,
)
