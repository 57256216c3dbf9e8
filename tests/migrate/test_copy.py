"""After a copy PostgreSQL answers what SQLite answered; nothing is mixed up, and every difference is noticed."""

import re
from collections.abc import Iterator

import pytest

from shared import environment
from tests.conftest import Answer, Freeze, Json, call, crawl, message_body, open_classroom, session_body
from tests.migrate.commands import TABLES, assert_moved, migrate, rows_of, tables_of
from tests.migrate.conftest import keyed
from tests.storage import Storage


def instructor(session: Json) -> Json:
    """The query of a session's instructor."""
    return {"user_id": session["created_by"], "role": "instructor"}


def copy(source: Storage, target: Storage) -> None:
    """A copy that must succeed."""
    ran = migrate("copy", "--from", source.url, "--to", target.url)
    assert ran.code == 0, ran.err


def serve(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the service go on with this database."""
    environment.reset()
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", storage.url)


def answers() -> Iterator[Answer]:
    """Everything that can be read, page by page."""
    for status in ("active", "ended", "all"):
        yield from crawl("list", status=status, limit=3)
        yield from crawl("list", status=status, created_by="ms_1", limit=2)
        for student in ("ann", "bob", "Bob", "nobody"):
            yield from crawl("list", status=status, student_id=student, limit=2)
    for session in call("list", query={"status": "all", "limit": 1000}).body["sessions"]:
        yield call("get", session["id"])
        yield from crawl("history", session["id"], **instructor(session), limit=4)
        for student in session["student_ids"]:
            query = {"user_id": student, "role": "student"}
            yield call("validate", session["id"], query=query)
            yield from crawl("history", session["id"], **query, limit=4)


def test_both_answer_the_same(school: Storage, target: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(answers())
    assert len(before) > 100
    copy(school, target)
    assert_moved(school, target)
    serve(target, monkeypatch)
    assert list(answers()) == before
    assert call("health").status == 200


def test_a_repeated_call_gets_the_stored_answer(
    school: Storage, target: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = next(scope.split()[-1] for scope, *_ in rows_of(school, "idempotency_keys") if "store" in scope)
    given = keyed("create", "opened-once"), keyed("store", "stored-once", session_id)
    copy(school, target)
    serve(target, monkeypatch)
    assert (keyed("create", "opened-once"), keyed("store", "stored-once", session_id)) == given
    assert rows_of(target, "sessions") == rows_of(school, "sessions")
    assert rows_of(target, "messages") == rows_of(school, "messages")


def test_writes_go_on_where_they_were(
    school: Storage, target: Storage, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(school, target)
    serve(target, monkeypatch)
    freeze("2026-11-22 07:00:00")  # earlier than every message
    for session in call("list", query={"limit": 1000}).body["sessions"]:
        history = call("history", session["id"], query=instructor(session)).body["messages"]
        stored = call("store", session["id"], body=message_body(from_user=session["created_by"])).body["message"]
        assert stored["timestamp"] == (history[-1]["timestamp"] if history else session["start_time"])
    ended = call("list", query={"status": "ended"}).body
    assert call("store", ended["sessions"][0]["id"], body=message_body()).refusal == (410, "session_ended")
    assert call("end", session["id"]).status == 200
    assert call("list", query={"status": "ended"}).body["total_count"] == ended["total_count"] + 1


def test_what_it_says(school: Storage, target: Storage) -> None:
    ran = migrate("copy", "--from", school.url, SWITCHBOARD_DATABASE_URL=target.url)
    *tables, last = ran.out.splitlines()
    pattern = re.compile(r"(\w+) +([\d,]+) rows  [0-9a-f]{32}")
    told = [match.groups() for line in tables if (match := pattern.fullmatch(line))]
    assert told == [(table, f"{len(rows_of(school, table)):,}") for table in TABLES]
    assert last.startswith("Copied and verified. Set SWITCHBOARD_DATABASE_URL")
    rows = sum(len(rows_of(school, table)) for table in TABLES)
    shown = [line[: line.index(" rows")] for line in ran.err.splitlines()]
    assert shown == [
        f"copying   [####################] 100%  {rows:,} of {rows:,}",
        f"verifying [####################] 100%  {2 * rows:,} of {2 * rows:,}",
    ]


def test_a_copy_that_is_repeated_says_that_everything_is_there(school: Storage, target: Storage) -> None:
    copy(school, target)
    before = {table: rows_of(target, table) for table in TABLES}, tables_of(target)
    ran = migrate("copy", "--from", school.url, "--to", target.url)
    assert (ran.code, ran.out) == (0, "Everything is there already: this copy finished before. Nothing was changed.\n")
    assert ({table: rows_of(target, table) for table in TABLES}, tables_of(target)) == before


def test_an_empty_file(storage: Storage, target: Storage) -> None:
    migrate("up")
    copy(storage, target)
    assert_moved(storage, target)


def test_a_target_that_holds_something_else(school: Storage, target: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(target, monkeypatch)
    open_classroom()
    environment.reset()
    before = {table: rows_of(target, table) for table in TABLES}, tables_of(target)
    ran = migrate("copy", "--from", school.url, "--to", target.url)
    assert (ran.code, ran.error) == (
        1,
        "error: --to: it holds rows that are no copy of this source: name an empty database",
    )
    assert ({table: rows_of(target, table) for table in TABLES}, tables_of(target)) == before


def test_a_copy_that_is_in_use_is_not_copied_over(
    school: Storage, target: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(school, target)
    serve(target, monkeypatch)
    call("create", body=session_body())
    environment.reset()
    before = rows_of(target, "sessions")
    assert "name an empty database" in migrate("copy", "--from", school.url, "--to", target.url).error
    assert rows_of(target, "sessions") == before
