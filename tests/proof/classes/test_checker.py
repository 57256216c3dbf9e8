"""The checker itself, on forged rounds: a correct one passes, and one that breaks a promise is found by its name."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.proof.classes.checker import PROMISES, violations
from tests.proof.classes.seen import (
    COMPLETE,
    ENDED,
    FAILED,
    MALFORMED,
    REPLACED,
    Connection,
    Death,
    Departure,
    End,
    Frame,
    Message,
    Seen,
    frame_of,
)

ROOM = "room"
HISTORY = [
    Message("id-m1", "m1", "instructor_broadcast", "noether", None),
    Message("id-m2", "m2", "instructor_inbox", "ann", None),
    Message("id-m3", "m3", "request", "noether", "bob"),
    Message("id-m4", "m4", "instructor_broadcast", "noether", None),
    Message("id-m5", "m5", "request", "abel", "ann"),
    Message("id-m6", "m6", "instructor_broadcast", "abel", None),
]
ANN = ("m1", "m2", COMPLETE, "m4", "m5", "m6", ENDED)
NOETHER = ("m1", COMPLETE, "m2", ENDED)
"""What they get, ann from 10 s on and noether from 11 s on; each frame comes a second after the one before."""


def received(*names: str, start: float) -> list[Frame]:
    """Frames, one a second: messages by their tokens, others by their events."""
    return [
        Frame(start + number, message=f"id-{name}")
        if name[0] == "m" and name[1:].isdigit()
        else Frame(start + number, event=name)
        for number, name in enumerate(names)
    ]


def connection(user: str, role: str, *names: str, start: float = 10.0) -> Connection:
    """A connection that the server has closed after its last frame."""
    frames = received(*names, start=start)
    return Connection(ROOM, user, role, start - 0.2, start - 0.1, frames, Departure.STAYED, frames[-1].at + 0.1)


def correct() -> Seen:
    """A round in which every promise was kept."""
    return Seen(
        connections=[connection("ann", "student", *ANN), connection("noether", "instructor", *NOETHER, start=11.0)],
        histories={ROOM: HISTORY},
        ends={ROOM: End(13.5, 16.0)},
        stored={message.token: 5.0 + 5.9 * number for number, message in enumerate(HISTORY)},
    )


def ann(*names: str, **changes: Any) -> Seen:
    """The round in which ann got these frames, or in which something of her connection is different."""
    seen = correct()
    seen.connections[0] = replace(connection("ann", "student", *(names or ANN)), **changes)
    return seen


def whole(**changes: Any) -> Seen:
    """The round in which something is different."""
    return replace(correct(), **changes)


def successors(*, older: tuple[str, ...], closed: float = 11.2) -> Seen:
    """The round in which ann has connected again; her older connection got these frames."""
    seen = correct()
    before = connection("ann", "student", *older, start=8.0)
    seen.connections.insert(0, replace(before, closed=closed))
    return seen


SHARE, HISTORY_FIRST, KNOWN, THE_END, ONE, ONCE, ROWS = (promise.__name__ for promise in PROMISES)

BROKEN = {
    "a gap": (SHARE, lambda: ann("m1", "m2", COMPLETE, "m4", "m6", ENDED)),
    "a gap in the history": (SHARE, lambda: ann("m2", COMPLETE, "m4", "m5", "m6", ENDED)),
    "the last one is missing": (SHARE, lambda: ann("m1", "m2", COMPLETE, "m4", "m5", ENDED)),
    "a repeat": (SHARE, lambda: ann("m1", "m2", COMPLETE, "m4", "m4", "m5", "m6", ENDED)),
    "a wrong order": (SHARE, lambda: ann("m1", "m2", COMPLETE, "m5", "m4", "m6", ENDED)),
    "somebody else's": (SHARE, lambda: ann("m1", "m2", COMPLETE, "m3", "m4", "m5", "m6", ENDED)),
    "her own, after the history": (SHARE, lambda: ann("m1", COMPLETE, "m2", "m4", "m5", "m6", ENDED)),
    "of another session": (SHARE, lambda: ann("m1", "m2", COMPLETE, "m99", "m4", "m5", "m6", ENDED)),
    "a live message before the history": (SHARE, lambda: ann("m4", "m1", "m2", COMPLETE, "m5", "m6", ENDED)),
    "a history without the newest": (HISTORY_FIRST, lambda: ann(COMPLETE, "m1", "m4", "m5", "m6", ENDED)),
    "two histories": (HISTORY_FIRST, lambda: ann("m1", "m2", COMPLETE, COMPLETE, "m4", "m5", "m6", ENDED)),
    "a frame that breaks clients": (KNOWN, lambda: ann("m1", "m2", COMPLETE, MALFORMED, "m4", "m5", "m6", ENDED)),
    "a failure for nothing": (KNOWN, lambda: ann("m1", "m2", COMPLETE, FAILED, "m4", "m5", "m6", ENDED)),
    "no notice": (THE_END, lambda: ann("m1", "m2", COMPLETE, "m4", "m5", "m6")),
    "a message after the notice": (THE_END, lambda: ann("m1", "m2", COMPLETE, "m4", "m5", ENDED, "m6")),
    "two notices": (THE_END, lambda: ann(*ANN, ENDED)),
    "a notice before the end": (THE_END, lambda: whole(ends={ROOM: End(20.0, 21.0)})),
    "a late close": (THE_END, lambda: ann(closed=21.5)),
    "no close": (THE_END, lambda: ann(closed=float("inf"))),
    "an older connection that is not closed": (ONE, lambda: successors(older=("m1", COMPLETE), closed=16.0)),
    "replaced by nobody": (ONE, lambda: ann("m1", "m2", COMPLETE, REPLACED)),
    "stored twice": (ONCE, lambda: whole(histories={ROOM: [*HISTORY, HISTORY[-1]._replace(id="again")]})),
    "lost": (ONCE, lambda: whole(stored={**correct().stored, "m7": 12.0})),
    "a row that was left": (ROWS, lambda: whole(left=["ann"])),
}


def test_a_correct_round_passes() -> None:
    assert violations(correct()) == []
    assert violations(successors(older=("m1", COMPLETE, REPLACED))) == []


@pytest.mark.parametrize(("promise", "broken"), BROKEN.values(), ids=BROKEN)
def test_a_broken_promise_is_found(promise: str, broken: Callable[[], Seen]) -> None:
    assert promise in {violation.promise for violation in violations(broken())}


EXCUSED = {
    "a repeat": lambda: ann("m1", "m2", COMPLETE, "m4", "m4", "m5", "m6", ENDED),
    "a page again": lambda: ann("m1", "m2", COMPLETE, "m4", "m5", "m4", "m5", "m6", ENDED),
    "the history again": lambda: ann("m1", "m2", COMPLETE, "m1", "m2", COMPLETE, "m4", "m5", "m6", ENDED),
    "two notices": lambda: ann(*ANN, ENDED),
    "a late close": lambda: ann(closed=60.0),
    "a failure": lambda: ann("m1", "m2", COMPLETE, FAILED, "m4", "m5", "m6", ENDED),
}


@pytest.mark.parametrize("unusual", EXCUSED.values(), ids=EXCUSED)
def test_the_death_of_a_container_explains_it(unusual: Callable[[], Seen]) -> None:
    deaths = [Death(at, "deliver") for at in (12.0, 14.0, 16.0)]
    assert violations(replace(unusual(), deaths=deaths)) == []
    assert violations(unusual())


@pytest.mark.parametrize("later", [91.5, float("inf")])
def test_a_minute_after_a_death_everything_is_finished(later: float) -> None:
    assert violations(replace(ann(closed=later), deaths=[Death(16.0, "deliver")]))


def test_a_repeat_after_a_death_leaves_nothing_out() -> None:
    repeated = ann("m1", "m2", COMPLETE, "m4", "m5", "m4", "m6", ENDED)
    assert violations(replace(repeated, deaths=[Death(14.0, "deliver")]))


def test_whoever_leaves_hears_nothing_more() -> None:
    for departure in (Departure.CLOSED, Departure.DROPPED):
        assert violations(ann("m1", "m2", departure=departure)) == []
    assert violations(ann("m1", "m2"))


MESSAGE = {"id": "id-m1", "type": "request", "context": "general", "content": {"token": "m1"}}
ENDED_FRAME = {"type": "system", "context": ENDED, "content": {"event": ENDED, "reason": "over"}, "timestamp": "now"}
TAKEN_OVER = ENDED_FRAME | {"content": {"event": ENDED, "reason": "Connection replaced by new instance"}}


@pytest.mark.parametrize(
    ("value", "frame"),
    [
        (MESSAGE, Frame(1.0, message="id-m1")),
        (ENDED_FRAME, Frame(1.0, event=ENDED)),
        (TAKEN_OVER, Frame(1.0, event=REPLACED)),
        ({"message": "Internal server error", "connectionId": "a", "requestId": "b"}, Frame(1.0, event=FAILED)),
        (MESSAGE | {"type": "unheard of"}, Frame(1.0, event=MALFORMED)),
        (MESSAGE | {"content": "text"}, Frame(1.0, event=MALFORMED)),
        (ENDED_FRAME | {"context": "other"}, Frame(1.0, event=MALFORMED)),
        ([], Frame(1.0, event=MALFORMED)),
    ],
)
def test_a_frame_is_read_as_the_clients_read_it(value: object, frame: Frame) -> None:
    assert frame_of(json.dumps(value), 1.0) == frame
