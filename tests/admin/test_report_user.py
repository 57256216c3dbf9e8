"""`report-user`: everything that is held about a person, and nobody else's data."""

from collections import Counter
from pathlib import Path

import pytest

from tests.admin.conftest import LONG_AGO, Admin, keyed, lines
from tests.conftest import Classroom, Freeze, open_classroom


def test_everything_that_is_held_about_a_person(admin: Admin, freeze: Freeze, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze(LONG_AGO)
    monkeypatch.setenv("SWITCHBOARD_MESSAGES_PER_MINUTE", "100")
    room, other = open_classroom(student_ids=["ann", "eve"]), open_classroom(student_ids=["eve"])
    sent = room.say("sent", "analytics")
    received = room.say("received", "request")
    kept = keyed("store", "again", room.id, type_="analytics")
    room.say("to all, about ann")
    other.say("not about her", "analytics", from_user="eve")
    found = lines(admin("report-user", "ann"))
    assert [line["message"] for line in found if "message" in line] == [sent, received, kept]
    assert [line["session"]["id"] for line in found if "session" in line] == [room.id]
    assert [line["kept_answer"]["key"] for line in found if "kept_answer" in line] == ["again"]
    assert [line["message_count"]["sent"] for line in found if "message_count" in line] == [2]
    assert "eve" not in str(found)


def test_what_an_instructor_created_and_sent(admin: Admin, old: Classroom) -> None:
    ran = admin("report-user", "ms_noether")
    kinds = Counter(next(iter(line)) for line in lines(ran))
    assert kinds == {"session": 1, "sequence": 2}
    assert ran.err.splitlines()[-1] == "held: 1 sessions, 2 sent messages"


def test_a_report_can_be_a_file(admin: Admin, old: Classroom, tmp_path: Path) -> None:
    ran = admin("report-user", "bob", "--output", str(tmp_path / "bob.ndjson"))
    assert ran.out == "held: 1 sessions, 1 sent messages\n"
    assert (tmp_path / "bob.ndjson").read_text() == admin("report-user", "bob").out


def test_nothing_is_held_about_strangers(admin: Admin, old: Classroom) -> None:
    ran = admin("report-user", "eve")
    assert (ran.code, ran.out, ran.err.splitlines()[-1]) == (0, "", "nothing is held about this user")


def test_a_long_history_is_searched_in_parts(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.retention.reads._SPAN", 3)
    rooms = [open_classroom() for _ in range(3)]
    for number in range(8):
        for room in rooms[1:]:
            room.say(str(number), "analytics", from_user=("ann", "bob")[number % 2])
    found = [line["message"]["content"]["text"] for line in lines(admin("report-user", "ann")) if "message" in line]
    assert found == ["0", "2", "4", "6"] * 2
