"""`stats`: how much there is, and how old."""

import json

from tests.admin.conftest import Admin, keyed
from tests.conftest import Classroom, open_classroom


def test_numbers_and_ages(admin: Admin, old: Classroom) -> None:
    active, ended = open_classroom(), open_classroom()
    active.say("now")
    ended.ask("end")
    keyed("create", "key")
    found = json.loads(admin("stats", "--format", "json").out)
    assert found.pop("database_bytes") > 10_000
    assert found == {
        "active_sessions": 2,
        "ended_sessions": 2,
        "messages": 6,
        "ended_before_30d": 1,
        "ended_before_90d": 1,
        "ended_before_400d": 1,
        "enrollments": 8,
        "kept_answers": 1,
        "expired_answers": 0,
        "message_counts": 0,
        "erasures": 0,
        "earliest_active_start": "2026-11-22T08:00:00.000000Z",
        "earliest_end": "2024-01-01T08:00:00.000000Z",
    }


def test_people_read_a_line_for_each(admin: Admin, old: Classroom) -> None:
    printed = admin("stats").out.splitlines()
    assert "messages                             5" in printed
    assert "earliest_active_start                            -" in printed
