"""The function `purge`, for a schedule."""

from typing import Any

import pytest

from emulator.manifest.loader import load
from functions import purge
from tests.conftest import Classroom, Context
from tests.migrate.commands import ROOT

NOTHING = {"sessions": 0, "messages": 0, "enrollments": 0, "answers": 0, "complete": True}


class Late(Context):
    """A context with little time left."""

    def get_remaining_time_in_millis(self) -> int:
        return 20_000


def run(context: Context | None = None) -> dict[str, Any]:
    """Call the function with enough time."""

    class Early(Context):
        def get_remaining_time_in_millis(self) -> int:
            return 300_000

    return purge.handler({}, context or Early())


def test_it_purges_by_its_setting(old: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_PURGE_AFTER_DAYS", "400")
    assert run() == {"sessions": 1, "messages": 5, "enrollments": 2, "answers": 0, "complete": True}
    assert run() == NOTHING
    assert old.ask("get").status == 404


def test_it_purges_nothing_unless_it_is_set(old: Classroom) -> None:
    assert run() == NOTHING
    assert old.ask("get").status == 200


def test_it_stops_before_its_time_is_over(old: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_PURGE_AFTER_DAYS", "400")
    assert run(Late()) == NOTHING | {"complete": False}
    assert old.ask("get").status == 200


@pytest.mark.parametrize("params", [{}, {"purge": "true"}])
def test_its_schedule_is_off_unless_a_parameter_sets_it(params: dict[str, str]) -> None:
    manifest = load(ROOT / "serverless.yml", {}, params)
    enabled = {one.function.name: one.enabled for one in manifest.schedules}
    assert enabled["purge"] == bool(params)
    assert manifest.functions["purge"].environment["SWITCHBOARD_PURGE_AFTER_DAYS"] == "400"
