"""Databases to copy: a small one that the service has filled, and a large one."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from shared import environment
from tests.conftest import MESSAGE_TYPES, Freeze, call, message_body, open_classroom, session_body
from tests.migrate.commands import migrate
from tests.storage import PostgresDatabases, Storage, sqlite_file

SESSIONS, MESSAGES, STUDENTS, KEYS = 60, 250, 40, 700
LARGE = SESSIONS * (2 + MESSAGES + STUDENTS) + KEYS
"""The number of rows of the large one, with session heads."""

TEXTS = (
    "Straße, 数学, नमस्ते, 👩🏽\u200d🏫, e\u0301 and é",
    "\\ \" / \b\f\n\r\t \u0000 \x1f \x7f \u2028 \\u0041 {} , NULL '' %s $1",
    "x" * (65_536 - len('{"text":""}')),
    "€" * ((65_536 - len('{"text":""}')) // 3),
    "",
)


@pytest.fixture
def target(postgres_databases: PostgresDatabases) -> Iterator[Storage]:
    """An empty database on a server."""
    with postgres_databases.unmigrated() as target:
        yield target


@pytest.fixture
def school(storage: Storage, freeze: Freeze) -> Storage:
    """The test's file with active and ended sessions, every type of message, calls with keys, and equal times."""
    clock = freeze("2026-11-22 08:00:00.000001")
    for number in range(7):  # all at the same instant
        open_classroom(
            name=f"Lesson {number}: Brüche 👩🏽\u200d🏫", instructor_id=f"ms_{number % 2}", student_ids=["ann", "bob"]
        )
    lesson = open_classroom()
    for _ in range(2):
        for type_ in MESSAGE_TYPES:
            lesson.say("at the same instant", type_)
    clock.tick(0.1)
    for text in TEXTS:
        lesson.say(text)
    for number, room in enumerate((open_classroom(), open_classroom(student_ids=["zoë"[:2], "Bob", "bob", "_", "-"]))):
        clock.tick(60)
        room.say(f"the end of lesson {number}", context=f"unit-{number}")
        assert room.ask("end").status == 200
    keyed("create", "opened-once")
    keyed("store", "stored-once", lesson.id)
    for number, finished in enumerate(("'2026-11-22T09:00:00.000000Z'", "NULL")):
        id_ = f"01a2040a-0000-7000-8000-{number:012}"
        storage.run(f"INSERT INTO erasures VALUES ('{id_}', '2026-11-22T08:00:00.000000Z', {finished}, 1, 2, 3)")
    environment.reset()
    return storage


def keyed(name: str, key: str, session_id: str | None = None) -> str:
    """The answer to a call under a key."""
    body = session_body() if name == "create" else message_body()
    answer = call(name, session_id, body=body, headers={"idempotency-key": key})
    assert answer.status == 201, answer.text
    return answer.text


@pytest.fixture(scope="session")
def university(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with so many rows that a copy takes some time."""
    path = tmp_path_factory.mktemp("university") / "large.db"
    assert migrate("up", "--database-url", f"sqlite:///{path}").code == 0
    students = [f"student-{number:02}" for number in range(STUDENTS)]
    began, ended = "2026-11-22T08:00:00.000000Z", "2026-11-22T08:45:00.000000Z"
    with closing(apsw.Connection(str(path))) as connection, connection:
        for room in range(SESSIONS):
            id_ = f"01a2040a-0000-7000-8000-{room:012}"
            over = (ended, "ended") if room % 3 == 0 else (None, "active")
            row = (id_, f"Room {room}", "ms_noether", began, *over, json.dumps(students, separators=(",", ":")))
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            enrolled = [(student, began, id_) for student in students]
            connection.executemany("INSERT INTO enrollments VALUES (?, ?, ?)", enrolled)
            connection.executemany(
                "INSERT INTO messages VALUES (?, ?, ?, 'analytics', 'general', 'student-01', NULL, ?, ?)",
                (
                    (
                        id_,
                        number + 1,
                        f"01a2040b-0000-7000-8000-{room:06}{number:06}",
                        f"2026-11-22T08:{number // 20:02}:00.{number:06}Z",
                        json.dumps({"text": f"{room} {number} " + "x" * (number % 300)}),
                    )
                    for number in range(MESSAGES)
                ),
            )
        connection.executemany(
            "INSERT INTO idempotency_keys VALUES ('create', ?, 'f', '{}', ?)",
            [(f"key-{number}", began) for number in range(KEYS)],
        )
        for status in ("active", "ended"):
            count = "SELECT count(*) FROM sessions WHERE status = ?1"
            connection.execute(f"UPDATE session_counts SET sessions = ({count}) WHERE status = ?1", (status,))
    return path


@pytest.fixture
def large(university: Path, tmp_path: Path) -> Storage:
    """A copy of the large file for one test."""
    return sqlite_file(Path(shutil.copy(university, tmp_path / "large.db")))
