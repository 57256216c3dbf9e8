"""What a replay calls different, and what it matches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.cli.comparison import Matcher

ONE, TWO, THREE = (f"01a2040a-f005-7611-a5dc-8a3c7d1dfea{digit}" for digit in "123")
SOON, LATER = "2026-11-22T16:15:55.397152Z", "2026-11-22T16:15:56.054641Z"


def answer(body: Any, status: int = 200, **headers: str) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {"status": status, "headers": [list(pair) for pair in headers.items()], "body": text, "base64": False}


def differences(*pairs: tuple[Any, Any], ignored: tuple[str, ...] = ()) -> list[str]:
    """Of answers after one another, each as it was and as it is."""
    matcher = Matcher()
    found = [matcher.differences(_answer(before), _answer(after), frozenset(ignored)) for before, after in pairs]
    return [str(one) for several in found for one in several]


def _answer(given: Any) -> dict[str, Any]:
    return given if isinstance(given, dict) and "base64" in given else answer(given)


def test_each_field_that_differs_is_named_with_both_values() -> None:
    before = answer({"a": 1, "same": True, "items": [{"b": "x"}], "gone": 0}, 200, etag="1")
    after = answer({"a": 2, "same": True, "items": [{"b": "y"}]}, 201, etag="2")
    assert set(differences((before, after))) == {
        "status: 200 -> 201",
        'headers.etag: "1" -> "2"',
        "body.a: 1 -> 2",
        'body.items[0].b: "x" -> "y"',
        "body.gone: 0 -> (nothing)",
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"id": ONE}, {"id": TWO}),
        ({"at": SOON}, {"at": LATER}),
        ({"at": "2026-11-22 16:15:55"}, {"at": "2027-01-01 00:00:00"}),
        ({"next": f"/rooms/{ONE}?since={SOON}"}, {"next": f"/rooms/{TWO}?since={LATER}"}),
        ({"next_cursor": "eyJhIjoxMjM0fQ=="}, {"next_cursor": "eyJhIjo1Njc4fQ=="}),
        ({"requestId": "JKJaXmPLvHcESHA="}, {"requestId": "ABcdEfGHiJKlMNo="}),
        ({"token": "****"}, {"token": "anything"}),
        (f"plain {ONE}", f"plain {TWO}"),
    ],
)
def test_ids_times_and_cursors_that_correspond_are_matched(before: Any, after: Any) -> None:
    assert differences((before, after)) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"id": ONE}, {"id": None}),
        ({"next_cursor": None}, {"next_cursor": "eyJhIjo1Njc4fQ=="}),
        ({"at": SOON}, {"at": "soon"}),
        ({"name": "Fractions and more"}, {"name": "Decimals_and_more"}),
        ({"count": 1}, {"count": True}),
        ({"count": 1}, {"count": 1.5}),
        ([1, 2], [1]),
        ("text", "other"),
        ({"next": f"/rooms/{ONE}"}, {"next": f"/rooms/{ONE}/{TWO}"}),
    ],
)
def test_what_only_looks_similar_differs(before: Any, after: Any) -> None:
    assert len(differences((before, after))) == 1


def test_an_id_stands_for_one_id_alone() -> None:
    assert differences(({"id": ONE}, {"id": TWO}), ({"room": ONE}, {"room": TWO})) == []
    assert len(differences(({"id": ONE}, {"id": TWO}), ({"room": ONE}, {"room": THREE}))) == 1
    assert len(differences(({"id": ONE}, {"id": THREE}), ({"id": TWO}, {"id": THREE}))) == 1
    assert len(differences(({"id": ONE}, {"id": TWO}), ({"room": ONE}, {"room": ONE}))) == 1


def test_what_is_known_is_put_into_later_requests() -> None:
    matcher = Matcher()
    before, after = answer({"id": ONE, "start": SOON}), answer({"id": TWO, "start": LATER})
    assert matcher.differences(before, after, frozenset()) == []
    assert matcher.translated(f"/rooms/{ONE}/messages?since={SOON}&of={THREE}") == (
        f"/rooms/{TWO}/messages?since={LATER}&of={THREE}"
    )


def test_a_field_may_be_ignored_with_all_below_it() -> None:
    before, after = (
        answer({"load": {"cpu": 1}, "list": [{"n": 1}]}, etag="1"),
        answer({"load": {"cpu": 2}, "list": [{"n": 2}]}, etag="2"),
    )
    assert differences((before, after), ignored=("body.load", "body.list.n", "headers.etag")) == []
    assert len(differences((before, after), ignored=("body.lo",))) == 3


def test_headers_that_are_new_in_every_answer_say_nothing() -> None:
    assert differences((answer("", date="a", etag="1"), answer("", date="b", ETag="1"))) == []
