"""Checks of what callers and monitors see and of the database file, and commands of an administrator."""

import subprocess
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.conftest import NOBODYS_ID, Classroom, call, message_body

READS = ("get", "list", "validate", "history")
WRITES = ("create", "store")
BUSY_TIMEOUT = 0.3  # seconds
HEALTH_DEADLINE = 10.0  # seconds that the manifest gives the function
SOON = 30.0  # seconds; far less than the faults of these tests last, far more than an answer takes on a slow machine

Refusal = tuple[int, object]


def system(*command: str | Path) -> None:
    """Run an administrator's command; skip the test where that is not permitted."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"{command[0]} is not installed")
    if done.returncode:
        pytest.skip(f"{command[0]} is not permitted here: {done.stderr.strip()}")


def ask(name: str, session_id: str | None) -> Refusal:
    """The status and the error code of one call with valid arguments."""
    if name == "create":
        return call("create").refusal
    if name == "list":
        return call("list", query={"limit": 1000}).refusal
    if name == "store":
        return call("store", session_id, body=message_body()).refusal
    query = {"user_id": "ann", "role": "student"} if name == "validate" else {}
    return call(name, session_id, query=query).refusal


def refusals(names: tuple[str, ...], room: Classroom | None = None) -> set[Refusal]:
    """Call each of these functions once; return the answers that are not a success."""
    answers = {ask(name, room.id if room else NOBODYS_ID) for name in names}
    return answers - {(200, None), (201, None)}


def health() -> tuple[int, str]:
    """The answer of `health`, which must come in time."""
    started = time.monotonic()
    answer = call("health")
    assert time.monotonic() - started < HEALTH_DEADLINE
    return answer.status, answer.body["database_status"]


def serves(room: Classroom, texts: list[str]) -> None:
    """Assert that every function works, and that the session has exactly the acknowledged messages."""
    assert room.texts() == texts
    assert refusals(READS, room) == set()
    texts.append(f"text {len(texts)}")
    room.say(texts[-1])
    assert room.texts() == texts
    assert refusals(("create",)) == set()
    assert health() == (200, "connected")


def sound(database: Path) -> None:
    """Assert that the file is not damaged and that its tables do not contradict each other."""
    assert contradictions(database) == []


def contradictions(database: Path) -> list[Any]:
    """Faults in the file or its tables, found through a connection outside of the service."""
    connection = apsw.Connection(str(database))
    try:
        found = [row for row in connection.execute("PRAGMA integrity_check") if row != ("ok",)]
        for question in _CONTRADICTIONS:
            found += connection.execute(question).fetchall()
        return found
    finally:
        connection.close()


_CONTRADICTIONS = (
    "PRAGMA foreign_key_check",
    "SELECT 'gap', session_id FROM messages GROUP BY session_id HAVING min(sequence) <> 1 OR max(sequence) <> count(*)",
    "SELECT 'twice', id FROM messages GROUP BY id HAVING count(*) > 1",
    "SELECT 'count', status FROM session_counts c"
    " WHERE sessions <> (SELECT count(*) FROM sessions s WHERE s.status = c.status)",
    "SELECT 'enrolled', id FROM sessions WHERE (SELECT count(*) FROM enrollments e WHERE e.session_id = sessions.id)"
    " <> json_array_length(student_ids)",
    "SELECT 'stray', session_id FROM enrollments WHERE session_id NOT IN (SELECT id FROM sessions)",
)


def bytes_of(path: Path) -> bytes:
    """The bytes of a file, read by a child process: closing the file here would release SQLite's locks on it."""
    return subprocess.run(["cat", str(path)], capture_output=True, check=True).stdout


def overwrite(path: Path, offset: int, content: bytes) -> None:
    """Change a file by a child process, without the service."""
    command = ["dd", f"of={path}", "bs=1", f"seek={offset}", "conv=notrunc", "status=none"]
    subprocess.run(command, input=content, check=True)
