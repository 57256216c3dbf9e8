"""No function can be reached over HTTP or WebSocket without a decision on who may call it."""

import importlib
import json
from typing import Any

import pytest
import yaml

from tests.api.test_identity import verify_callers
from tests.conftest import EVENTS, golden

STRANGERS_MAY_CALL = {"health"}
MANIFEST = yaml.safe_load((EVENTS.parents[1] / "serverless.yml").read_text("utf-8"))


def reached(kind: str) -> list[str]:
    """The functions that events of this kind reach."""
    functions = MANIFEST["functions"].items()
    return sorted(name for name, one in functions if any(kind in event for event in one.get("events", ())))


REACHED = reached("httpApi")


@pytest.mark.parametrize("name", REACHED)
def test_a_stranger_is_refused_by_every_function_that_a_route_reaches(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify_callers(monkeypatch)
    module, _, handler = MANIFEST["functions"][name]["handler"].rpartition(".")
    event: dict[str, Any] = {"version": "2.0", "requestContext": {"http": {"method": "GET"}}}
    answer = getattr(importlib.import_module(module), handler)(event, None)
    assert (answer["statusCode"] != 401) == (name in STRANGERS_MAY_CALL)


@pytest.mark.parametrize("name", REACHED)
def test_every_route_but_those_has_an_authorizer(name: str) -> None:
    events = MANIFEST["functions"][name]["events"]
    closed = [isinstance(one.get("httpApi"), dict) and bool(one["httpApi"].get("authorizer")) for one in events]
    assert all(closed) != (name in STRANGERS_MAY_CALL)


def test_only_the_handshake_of_a_websocket_has_an_authorizer_and_it_is_always_asked() -> None:
    (connect,) = MANIFEST["functions"]["connect"]["events"]
    assert connect["websocket"]["authorizer"] == {"name": "authorize", "identitySource": []}


def test_a_handshake_of_a_stranger_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    verify_callers(monkeypatch)
    assert without_authorizer("connect")["statusCode"] == 401


@pytest.mark.parametrize("name", sorted(set(reached("websocket")) - {"connect"}))
def test_a_frame_without_a_verified_sender_is_refused(name: str) -> None:
    assert json.loads(without_authorizer(name)["body"])["content"]["code"] == "unauthenticated"


def without_authorizer(name: str) -> dict[str, Any]:
    """What a function answers to its golden event without the context of an authorizer."""
    event = golden(name)
    del event["requestContext"]["authorizer"]
    answer: dict[str, Any] = importlib.import_module(f"functions.{name}").handler(event, None)
    return answer
