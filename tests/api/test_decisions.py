"""No function can be reached over HTTP without a decision on who may call it."""

import importlib
from typing import Any

import pytest
import yaml

from tests.api.test_identity import verify_callers
from tests.conftest import EVENTS

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
