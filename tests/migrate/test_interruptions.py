"""A copy that is interrupted, looked at, overtaken or tampered with."""

import itertools
import random
import shutil
import time
from pathlib import Path

import pytest

from shared import environment
from tests.conftest import call, message_body, open_classroom
from tests.migrate.commands import TABLES, assert_moved, copying, finish, migrate, rows_of, tables_of
from tests.migrate.conftest import KEYS, LARGE, MESSAGES, SESSIONS, STUDENTS
from tests.storage import Storage, sqlite_file

SEED = 20261122
HALF = LARGE // 2
ALL = SESSIONS * MESSAGES
ROOM = "01a2040a-0000-7000-8000-000000000001"
"""A session of the large file that is active."""


def copied(target: Storage) -> int:
    """How many rows there are."""
    return sum(len(rows_of(target, table)) for table in TABLES)


def killed_midway(source: Storage, target: Storage) -> None:
    """A copy that was killed when half of it was done."""
    with copying(source, target) as copy:
        assert copy.reach(HALF)
    assert HALF <= copied(target) < LARGE


def resumed(source: Storage, target: Storage) -> None:
    """The same command again, to its end."""
    ran = migrate("copy", "--from", source.url, "--to", target.url)
    assert ran.code == 0, ran.err
    assert_moved(source, target)


def test_killed_at_random_moments(large: Storage, target: Storage) -> None:
    chance = random.Random(SEED)
    done, kills = 0, 0
    while True:
        with copying(large, target) as copy:
            if not copy.reach(done + chance.randint(1, LARGE // 6)):
                break
            time.sleep(chance.choice([0, chance.uniform(0, 0.05)]))
        kills += 1
        done = copied(target)
        if "copy_progress" in tables_of(target):  # every row is told of, and every row that is told of is there
            assert target.run("SELECT copied FROM copy_progress") == [(done,)]
    assert kills >= 4, "too few to say anything"
    resumed_or_done(large, target)


def resumed_or_done(source: Storage, target: Storage) -> None:
    """Go on where something is left to do, and compare."""
    if "copy_progress" in tables_of(target):
        resumed(source, target)
    assert_moved(source, target)


def test_killed_after_any_time(large: Storage, target: Storage) -> None:
    chance = random.Random(SEED)
    for attempt in itertools.count():
        with copying(large, target) as copy:
            time.sleep(chance.uniform(0, 1.2) * 1.1**attempt)  # in the end even a slow machine copies all in one
            if (code := copy.process.poll()) is not None:
                break
    assert code in (0, 1)  # 1: the one before was killed when all was done
    resumed_or_done(large, target)


def test_it_goes_on_where_it_stopped(large: Storage, target: Storage) -> None:
    killed_midway(large, target)
    target.run(f"DELETE FROM messages WHERE session_id = '{ROOM}' AND sequence = 1")  # behind the mark
    ran = migrate("copy", "--from", large.url, "--to", target.url)
    assert (ran.code, f"messages ({ALL:,} rows there, {ALL - 1:,} here)" in ran.error) == (1, True)


def test_every_changed_column_is_noticed(large: Storage, target: Storage) -> None:
    with copying(large, target) as copy:
        assert copy.reach(HALF)
        copy.freeze()
        target.run(f"UPDATE sessions SET student_ids = student_ids || ' ' WHERE id = '{ROOM}'")
        target.run("UPDATE enrollments SET student_id = 'eve' WHERE student_id = 'student-01'")
        target.run(
            "UPDATE messages SET timestamp = timestamp + interval '1 microsecond'"
            f" WHERE session_id = '{ROOM}' AND sequence = 7"
        )
        ran = copy.thaw()
    unlike = "rows on both sides, with different checksums)"
    wrong = (
        f"sessions ({SESSIONS} {unlike}",
        f"enrollments ({SESSIONS * STUDENTS:,} {unlike}",
        f"messages ({ALL:,} {unlike}",
    )
    assert (ran.code, ran.out, [reason in ran.error for reason in wrong]) == (1, "", [True] * 3)
    assert "session_heads" not in ran.error
    target.run(f"UPDATE sessions SET student_ids = rtrim(student_ids) WHERE id = '{ROOM}'")
    target.run("UPDATE enrollments SET student_id = 'student-01' WHERE student_id = 'eve'")
    target.run(
        "UPDATE messages SET timestamp = timestamp - interval '1 microsecond'"
        f" WHERE session_id = '{ROOM}' AND sequence = 7"
    )
    target.run(f"UPDATE session_heads SET sequence = sequence + 1 WHERE session_id = '{ROOM}'")
    target.run("DELETE FROM idempotency_keys WHERE key = 'key-1'")
    ran = migrate("copy", "--from", large.url, "--to", target.url)
    assert (ran.code, ran.out) == (1, "")
    assert f"idempotency_keys ({KEYS} rows there, {KEYS - 1} here), session_heads ({SESSIONS} {unlike}" in ran.error
    assert "copy_progress" in tables_of(target)
    target.run(f"UPDATE session_heads SET sequence = sequence - 1 WHERE session_id = '{ROOM}'")
    target.run(
        "INSERT INTO idempotency_keys (scope, key, fingerprint, answer, created_at)"
        " VALUES ('create', 'key-1', 'f', '{}', '2026-11-22T08:00:00Z')"
    )
    resumed(large, target)


def test_what_was_written_in_between_is_copied(
    large: Storage, target: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", large.url)
    killed_midway(large, target)
    key = {"idempotency-key": "in-between"}
    assert call("store", ROOM, body=message_body(), headers=key).status == 201
    assert call("end", ROOM).status == 200
    open_classroom()
    environment.reset()
    resumed(large, target)


def test_what_changed_after_all_was_copied(large: Storage, target: Storage) -> None:
    with copying(large, target) as copy:
        assert copy.reach(HALF)
        copy.freeze()
        target.run(f"DELETE FROM messages WHERE session_id = '{ROOM}' AND sequence = 1")  # so it is not finished
        assert copy.thaw().code == 1
    assert [len(rows_of(target, table)) for table in ("idempotency_keys", "session_heads")] == [KEYS, SESSIONS]
    large.run("DELETE FROM idempotency_keys WHERE key = 'key-1'")  # as the next keyed write does with expired ones
    large.run("UPDATE idempotency_keys SET answer = '[]' WHERE key = 'key-2'")
    large.run(
        "INSERT INTO messages SELECT session_id, sequence + 1, 'ffffffff-0000-7000-8000-000000000000', type, context,"
        f" from_user, to_user, timestamp, content FROM messages WHERE session_id = '{ROOM}' AND sequence = {MESSAGES}"
    )
    resumed(large, target)


def test_another_source_is_not_mixed_in(large: Storage, storage: Storage, target: Storage) -> None:
    killed_midway(large, target)
    open_classroom()
    environment.reset()
    before = copied(target)
    ran = migrate("copy", "--from", storage.url, "--to", target.url)
    assert (ran.code, "no copy of this source" in ran.error) == (1, True)
    assert copied(target) == before
    resumed(large, target)


def test_the_source_is_read_and_not_written_meanwhile(
    large: Storage, target: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", large.url)
    monkeypatch.setenv("SWITCHBOARD_BUSY_TIMEOUT_MS", "100")
    monkeypatch.setenv("SWITCHBOARD_RETRY_DELAY_SECONDS", "0.05")
    monkeypatch.setenv("SWITCHBOARD_WRITE_TIMEOUT_SECONDS", "1")
    with copying(large, target) as copy:
        assert copy.reach(HALF)
        copy.freeze()
        assert call("store", ROOM, body=message_body()).refusal == (503, "database_busy")
        assert call("get", ROOM).status == 200
        assert copy.thaw().code == 0
    assert_moved(large, target)
    assert call("store", ROOM, body=message_body()).status == 201


def test_the_second_of_two_copies_stops_the_first(large: Storage, target: Storage, tmp_path: Path) -> None:
    restored = sqlite_file(Path(shutil.copy(large.url.removeprefix("sqlite:///"), tmp_path / "restored.db")))
    with copying(large, target) as first:
        assert first.reach(HALF // 2)
        first.freeze()
        target.run(  # its transaction is open, perhaps, and holds the mark
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'switchboard-sessions'"
        )
        with copying(restored, target) as second:
            assert second.reach(HALF)
            second.freeze()
            ran = first.thaw()
            assert (ran.code, "another copy into it has begun" in ran.error) == (1, True)
            assert second.thaw().code == 0
    assert_moved(large, target)


def test_connections_that_are_lost(large: Storage, target: Storage) -> None:
    with copying(large, target) as copy:
        for part in range(1, 5):
            assert copy.reach(part * LARGE // 6)
            target.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'switchboard-sessions'"
            )
        ran = finish(copy.process)
    assert ran.code == 0, ran.err
    assert_moved(large, target)


def test_a_store_on_the_target_before_the_end_is_refused(
    large: Storage, target: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_midway(large, target)
    with monkeypatch.context() as service:  # the copy that follows has its own, longer times
        service.setenv("SWITCHBOARD_DATABASE_URL", target.url)
        service.setenv("SWITCHBOARD_BUSY_TIMEOUT_MS", "100")
        service.setenv("SWITCHBOARD_RETRY_DELAY_SECONDS", "0.05")
        service.setenv("SWITCHBOARD_WRITE_TIMEOUT_SECONDS", "1")
        assert call("store", ROOM, body=message_body()).status == 503
        assert call("end", ROOM).status != 200
        environment.reset()
    resumed(large, target)
