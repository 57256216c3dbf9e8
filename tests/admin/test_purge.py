"""`purge`: sessions that ended before a time are gone, with all that belongs to them; nothing else is."""

import json

import pytest

from shared import environment
from tests.admin.conftest import BEFORE, LONG_AGO, Admin, keyed
from tests.conftest import Classroom, Freeze, call, crawl, open_classroom
from tests.proof.integrity import damage
from tests.storage import Storage


def listed() -> list[str]:
    """The ids of all sessions, with a total that is right."""
    answers = list(crawl("list", status="all"))
    found = [session["id"] for answer in answers for session in answer.body["sessions"]]
    assert answers[0].body["total_count"] == len(found)
    return found


def test_old_sessions_are_gone_and_others_are_not(admin: Admin, old: Classroom, storage: Storage) -> None:
    active, newer = open_classroom(), open_classroom()
    newer.say("today")
    newer.ask("end")
    ran = admin("purge", "--ended-before", BEFORE)
    assert ran.out == "purged 1 sessions, 5 messages, 2 enrollments, 0 expired answers\n"
    assert listed() == [newer.id, active.id]
    assert newer.texts() == ["today"]
    assert call("list", query={"status": "all", "student_id": "ann"}).body["total_count"] == 2
    for name in ("get", "validate", "history", "end"):
        query = {"user_id": "ann", "role": "student"} if name == "validate" else None
        assert call(name, old.id, query=query).refusal == (404, "session_not_found")
    assert call("store", old.id).refusal == (404, "session_not_found")
    environment.reset()
    assert damage(storage) == []


def test_a_session_counts_by_its_end_and_not_by_its_start(admin: Admin, freeze: Freeze) -> None:
    clock = freeze(LONG_AGO)
    room = open_classroom()
    clock.move_to("2026-11-22 08:00:00")
    room.ask("end")
    admin("purge", "--ended-before", BEFORE)
    assert listed() == [room.id]


def test_an_active_session_stays_whatever_its_age(admin: Admin, freeze: Freeze) -> None:
    clock = freeze(LONG_AGO)
    room = open_classroom()
    clock.move_to("2026-11-22 08:00:00")
    admin("purge", "--ended-before", "1d")
    room.say("still here")
    assert room.texts() == ["still here"]


def test_a_dry_run_changes_nothing(admin: Admin, old: Classroom) -> None:
    assert admin("purge", "--ended-before", BEFORE, "--dry-run").out == (
        "would purge 1 sessions, 5 messages, 2 enrollments\n"
    )
    assert len(old.history()) == 5


def test_a_second_purge_finds_nothing(admin: Admin, old: Classroom) -> None:
    admin("purge", "--ended-before", BEFORE)
    ran = admin("purge", "--ended-before", BEFORE)
    assert ran.out == "purged 0 sessions, 0 messages, 0 enrollments, 0 expired answers\n"
    assert "100%  0 of 0 rows" in ran.err


@pytest.mark.parametrize("before", ["0d", "2026-11-21T08:00:01Z", "2030-01-01"])
def test_what_ended_within_a_day_is_never_purged(admin: Admin, old: Classroom, before: str) -> None:
    ran = admin("purge", "--ended-before", before)
    assert (ran.code, ran.error) == (
        1,
        "error: --ended-before: must be at least a day ago: repeated calls get their kept answers for a day",
    )
    assert admin("purge", "--ended-before", "1d").code == 0


def test_expired_answers_are_deleted_and_valid_ones_kept(admin: Admin, freeze: Freeze, storage: Storage) -> None:
    clock = freeze(LONG_AGO)
    for number in range(5):
        keyed("create", f"old-{number}")
    clock.move_to("2026-11-22 08:00:00")
    assert admin("purge", "--ended-before", "1d").out.endswith("5 expired answers\n")
    keyed("create", "valid")
    clock.tick(60)
    assert admin("purge", "--ended-before", "1d").out.endswith("0 expired answers\n")
    assert [key for (key,) in storage.ask(["SELECT key FROM idempotency_keys"])[0]] == ["valid"]


def test_batches_of_every_size_delete_the_same(
    admin: Admin, freeze: Freeze, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = freeze(LONG_AGO)
    for students in (1, 40, 3):
        room = open_classroom(student_ids=[f"student-{number}" for number in range(students)])
        for number in range(4):
            room.say(f"{number} " + "x" * 20_000)
        room.ask("end")
    clock.move_to("2026-11-22 08:00:00")
    monkeypatch.setattr("shared.admin.batches._FIRST_SIZE", 8192)
    monkeypatch.setattr("shared.admin.batches._MAX_SIZE", 8192)
    ran = admin("purge", "--ended-before", BEFORE)
    assert ran.out == "purged 3 sessions, 12 messages, 44 enrollments, 0 expired answers\n"
    environment.reset()
    assert damage(storage) == []
    assert storage.ask(["SELECT count(*) FROM enrollments"]) == [[(0,)]]


def test_a_warm_environment_that_kept_the_roster_finds_nothing(admin: Admin, old: Classroom, storage: Storage) -> None:
    room = open_classroom()
    query = {"user_id": "ann", "role": "student"}
    assert room.ask("validate", **query).status == 200  # now the roster is in the cache
    storage.run("UPDATE sessions SET status = 'ended', end_time = start_time")  # by another environment
    if storage.kind == "postgresql":
        storage.run("UPDATE session_heads SET status = 'ended'")
    day_after = "2026-11-23T09:00:00Z"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.admin.__main__.check_before", lambda *_: None)
        admin("purge", "--ended-before", day_after)
    assert room.ask("validate", **query).refusal == (410, "session_ended")
    assert room.ask("validate", **query).refusal == (404, "session_not_found")
    assert json.loads(room.store().text)["code"] == "session_not_found"
