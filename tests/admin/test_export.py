"""`export`: sessions with their messages, complete."""

import csv
import io
import stat
from pathlib import Path

from tests.admin.conftest import BEFORE, Admin, lines
from tests.conftest import NOBODYS_ID, Classroom, open_classroom
from tests.storage import Storage


def test_a_session_is_exported_as_the_functions_answer(admin: Admin, old: Classroom) -> None:
    session, *messages = lines(admin("export", old.id))
    assert session == {"session": old.ask("get").body["session"]}
    assert [message["message"] for message in messages] == old.history()
    assert [message["sequence"] for message in messages] == [1, 2, 3, 4, 5]


def test_ended_sessions_are_exported_by_the_time_of_their_end(admin: Admin, old: Classroom) -> None:
    newer, active = open_classroom(), open_classroom()
    newer.say("today")
    newer.ask("end")
    active.say("now")
    assert [
        line["session"]["id"] for line in lines(admin("export", "--ended-before", BEFORE)) if "session" in line
    ] == [old.id]
    both = [
        line["session"]["id"] for line in lines(admin("export", "--ended-before", "2030-01-01")) if "session" in line
    ]
    assert both == [old.id, newer.id]


def test_csv_has_every_value(admin: Admin, old: Classroom) -> None:
    ran = admin("export", old.id, "--format", "csv")
    session, *messages = csv.DictReader(io.StringIO(ran.out))
    expected = old.ask("get").body["session"]
    assert session["student_ids"].split() == expected["student_ids"]
    assert {name: session[name] for name in ("name", "start_time", "status")}.items() <= expected.items()
    assert [message["content"] for message in messages] == [
        '{"text":"' + text["content"]["text"] + '"}' for text in old.history()
    ]
    assert {message["session_id"] for message in messages} == {old.id}
    assert ran.err.splitlines()[-1] == "exported 1 sessions, 5 messages"


def test_many_messages_are_exported_page_by_page(admin: Admin, storage: Storage) -> None:
    room = open_classroom()
    room.say("first")
    columns = "id, type, context, from_user, to_user, timestamp, content"
    for _ in range(11):
        storage.run(
            f"INSERT INTO messages (session_id, sequence, {columns}) SELECT session_id, sequence +"
            f" (SELECT max(sequence) FROM messages), {_other_id(storage)}, {columns.partition(', ')[2]} FROM messages"
        )
    found = lines(admin("export", room.id))
    assert [line["sequence"] for line in found[1:]] == list(range(1, 2049))


def _other_id(storage: Storage) -> str:
    if storage.kind == "sqlite":
        return "lower(hex(randomblob(16)))"
    return "gen_random_uuid()"


def test_a_file_is_complete_and_private(admin: Admin, old: Classroom, tmp_path: Path) -> None:
    target = tmp_path / "export.ndjson"
    target.write_text("an earlier export")
    assert admin("export", old.id, "--output", str(target)).out == "exported 1 sessions, 5 messages\n"
    assert target.read_text() == admin("export", old.id).out
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert not target.with_name("export.ndjson.partial").exists()


def test_what_a_killed_export_left_is_overwritten(admin: Admin, old: Classroom, tmp_path: Path) -> None:
    partial = tmp_path / "export.ndjson.partial"
    partial.write_text("half a line" * 100_000)
    assert admin("export", old.id, "--output", str(tmp_path / "export.ndjson")).code == 0
    assert (tmp_path / "export.ndjson").read_text() == admin("export", old.id).out
    assert not partial.exists()


def test_an_export_that_fails_leaves_the_earlier_file(admin: Admin, old: Classroom, tmp_path: Path) -> None:
    target = tmp_path / "export.ndjson"
    target.write_text("an earlier export")
    (tmp_path / "export.ndjson.partial").mkdir()
    ran = admin("export", old.id, "--output", str(target))
    assert (ran.code, "cannot be written: Is a directory" in ran.error) == (1, True)
    assert target.read_text() == "an earlier export"


def test_a_dry_run_only_counts(admin: Admin, old: Classroom, tmp_path: Path) -> None:
    ran = admin("export", "--ended-before", BEFORE, "--dry-run", "--output", str(tmp_path / "x"))
    assert ran.out == "would export 1 sessions, 5 messages\n"
    assert not (tmp_path / "x").exists()


def test_nothing_is_exported_of_no_session(admin: Admin, old: Classroom) -> None:
    assert lines(admin("export", "--ended-before", "2024-01-01")) == []
    for name in (NOBODYS_ID, "x", "é'\n"):
        ran = admin("export", name)
        assert (ran.code, ran.out, "there is no session" in ran.error) == (1, "", True)
