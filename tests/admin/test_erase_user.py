"""`erase-user`: nothing of a person is left in ended sessions, what others wrote is."""

import pytest

from shared import environment
from tests.admin.conftest import LONG_AGO, Admin, bytes_of_files, keyed, lines, rows_of_all
from tests.conftest import Classroom, Freeze, call, open_classroom
from tests.proof.integrity import damage
from tests.storage import Storage

ANN = "ann-of-class-7b"


@pytest.fixture
def lesson(freeze: Freeze) -> Classroom:
    """A lesson with messages from and to Ann, and others; it has ended."""
    clock = freeze(LONG_AGO)
    room = open_classroom(student_ids=["bob", ANN, "zoe"])
    room.say("a question that only Ann asked", "instructor_inbox", from_user=ANN)
    room.say("an answer to one student", "inbox_response", to_user=ANN)
    room.say("to all")
    room.say("what bob says", "analytics", from_user="bob")
    assert room.ask("end").status == 200
    clock.tick(60)
    return room


def test_she_is_erased_as_author_recipient_and_student(admin: Admin, lesson: Classroom, storage: Storage) -> None:
    before = lesson.history()
    assert admin("erase-user", ANN).out == "erased the user in 1 sessions, 2 messages, 0 kept answers\n"
    assert lesson.ask("get").body["session"]["student_ids"] == ["bob", "erased", "zoe"]
    asked, answered, *others = lesson.history()
    assert asked == before[0] | {"from_user": "erased", "content": {"erased": True}}
    assert answered == before[1] | {"to_user": "erased"}
    assert others == before[2:]
    assert call("list", query={"status": "all", "student_id": ANN}).body["total_count"] == 0
    assert lesson.ask("history", user_id=ANN, role="student").refusal == (403, "unauthorized")
    environment.reset()
    assert damage(storage) == []


def test_nothing_of_her_is_left_in_a_table_file_or_log(admin: Admin, lesson: Classroom, storage: Storage) -> None:
    assert call("health").status == 200  # this environment stays warm and keeps the log open
    admin("erase-user", ANN)
    found = rows_of_all(storage) + bytes_of_files(storage)
    assert ANN not in found
    assert "only Ann asked" not in found
    assert "what bob says" in found


def test_an_instructor_is_erased_as_creator_and_author(admin: Admin, lesson: Classroom) -> None:
    assert admin("erase-user", "ms_noether").out == "erased the user in 1 sessions, 2 messages, 0 kept answers\n"
    assert lesson.ask("get").body["session"]["created_by"] == "erased"
    assert [message["from_user"] for message in lesson.history()] == [ANN, "erased", "erased", "bob"]


def test_an_instructor_is_erased_from_sessions_of_others(admin: Admin, freeze: Freeze) -> None:
    freeze(LONG_AGO)
    room = open_classroom(student_ids=["bob"])
    room.say("as a guest", from_user="mr_gauss")
    room.ask("end")
    assert admin("erase-user", "mr_gauss").out == "erased the user in 0 sessions, 1 messages, 0 kept answers\n"
    assert room.history()[0]["content"] == {"erased": True}


def test_two_erased_students_are_one_entry_of_a_roster(admin: Admin, lesson: Classroom, storage: Storage) -> None:
    for user in (ANN, "zoe", "bob"):
        assert admin("erase-user", user).code == 0
    assert lesson.ask("get").body["session"]["student_ids"] == ["erased"]
    assert storage.ask(["SELECT count(*) FROM enrollments"]) == [[(0,)]]


def test_an_active_session_is_left_until_it_has_ended(admin: Admin, lesson: Classroom) -> None:
    active = open_classroom(student_ids=[ANN])
    ran = admin("erase-user", ANN)
    assert ran.code == 1
    assert ran.error == "error: 1 active sessions with this user were left: end them, then run this again"
    assert "erased the user in 1 sessions" in ran.out
    active.say("still mine", "analytics", from_user=ANN)
    active.ask("end")
    assert admin("erase-user", ANN).out == "erased the user in 1 sessions, 1 messages, 0 kept answers\n"


def test_the_erasure_is_recorded_without_the_user(admin: Admin, lesson: Classroom, storage: Storage) -> None:
    admin("erase-user", ANN)
    admin("erase-user", ANN)  # nothing is left, so nothing is recorded
    ((sessions, messages, answers, finished),) = storage.ask(
        ["SELECT sessions, messages, answers, finished_at >= began_at FROM erasures"]
    )[0]
    assert (sessions, messages, answers, bool(finished)) == (1, 2, 0, True)


def test_kept_answers_lose_her(admin: Admin, freeze: Freeze, storage: Storage) -> None:
    freeze("2026-11-22 08:00:00")
    keyed("create", "of-others")
    room = Classroom(keyed("create", "key", student_ids=[ANN, "bob"]))
    keyed("store", "own", room.id, type_="analytics", from_user=ANN)
    keyed("store", "to-her", room.id, type_="request", to_user=ANN)
    keyed("store", "bobs", room.id, type_="analytics", from_user="bob", content={"text": ANN})
    room.ask("end")
    assert admin("erase-user", ANN).out == "erased the user in 1 sessions, 2 messages, 3 kept answers\n"
    kept = dict(storage.ask(["SELECT key, answer FROM idempotency_keys"])[0])
    assert kept.keys() == {"of-others", "key", "to-her", "bobs"}
    assert '"student_ids":["erased","bob"]' in kept["key"]
    assert '"to_user":"erased"' in kept["to-her"]
    assert (
        keyed("create", "key", student_ids=[ANN, "bob"])["id"] == room.id
    )  # a repeated call still makes no second one


def test_kept_answers_of_an_active_session_stay(admin: Admin, freeze: Freeze, storage: Storage) -> None:
    freeze("2026-11-22 08:00:00")
    room = Classroom(keyed("create", "key", student_ids=[ANN]))
    sent = keyed("store", "own", room.id, type_="analytics", from_user=ANN)
    assert admin("erase-user", ANN).out == "erased the user in 0 sessions, 0 messages, 0 kept answers\n"
    assert keyed("store", "own", room.id, type_="analytics", from_user=ANN) == sent
    assert room.history() == [sent]


def test_a_dry_run_changes_nothing(admin: Admin, lesson: Classroom) -> None:
    before = lesson.history()
    assert (
        admin("erase-user", ANN, "--dry-run").out == "would erase the user in 1 sessions, 2 messages, 0 kept answers\n"
    )
    assert lesson.history() == before


def test_names_that_contain_hers_are_others(admin: Admin, freeze: Freeze) -> None:
    freeze(LONG_AGO)
    room = open_classroom(student_ids=["ann", "anne", "joann"])
    for student in ("ann", "anne", "joann"):
        room.say(student, "analytics", from_user=student)
    room.ask("end")
    admin("erase-user", "ann")
    assert room.ask("get").body["session"]["student_ids"] == ["erased", "anne", "joann"]
    assert [message["from_user"] for message in room.history()] == ["erased", "anne", "joann"]


def test_the_report_is_empty_after_it(admin: Admin, lesson: Classroom) -> None:
    assert len(lines(admin("report-user", ANN))) == 3
    admin("erase-user", ANN)
    ran = admin("report-user", ANN)
    assert (ran.out, ran.err.splitlines()[-1]) == ("", "nothing is held about this user")


def test_a_warm_environment_that_kept_the_roster_reads_no_word_of_hers(
    admin: Admin, freeze: Freeze, storage: Storage
) -> None:
    freeze(LONG_AGO)
    room = open_classroom(student_ids=[ANN])  # this environment keeps the roster
    room.say("my question", "instructor_inbox", from_user=ANN)
    room.say("to all")
    storage.run("UPDATE sessions SET status = 'ended', end_time = start_time")  # by another environment
    if storage.kind == "postgresql":
        storage.run("UPDATE session_heads SET status = 'ended'")
    admin("erase-user", ANN)
    assert room.texts(user_id=ANN, role="student") == ["to all"]
    assert room.ask("validate", user_id=ANN, role="student").refusal == (410, "session_ended")
    assert room.ask("history", user_id=ANN, role="student").refusal == (403, "unauthorized")


def test_nobody_can_be_called_erased() -> None:
    assert call("create", body={"name": "x", "instructor_id": "i", "student_ids": ["erased"]}).status == 400
    room = open_classroom()
    assert room.store(from_user="erased").refusal == (400, "invalid_user_id")
    assert room.store("request", to_user="erased").refusal == (400, "invalid_recipient")
    assert room.say("any context", context="erased")
