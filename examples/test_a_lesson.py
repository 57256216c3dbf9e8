"""A test of one's own with a frozen clock: `.venv/bin/python -m pytest -p tests.conftest examples`."""

from tests.conftest import Freeze, call, open_classroom


def test_a_lesson_takes_45_minutes_however_long_the_test_runs(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    lesson = open_classroom(name="Fractions", student_ids=["ann"])
    clock.tick(45 * 60)
    lesson.say("Time is up")
    ended = lesson.ask("end").body["session"]
    assert (ended["start_time"], ended["end_time"]) == ("2026-11-22T08:00:00.000000Z", "2026-11-22T08:45:00.000000Z")


def test_a_key_is_kept_for_24_hours(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    key = {"idempotency-key": "0b1f0c3e-2f53-4a6c-9d0e-6a3c2b9d7f11"}
    first = call("create", headers=key).body["session"]["id"]
    clock.tick(23 * 60 * 60)
    assert call("create", headers=key).body["session"]["id"] == first
    clock.tick(2 * 60 * 60)
    assert call("create", headers=key).body["session"]["id"] != first
