"""A database with many sessions that ended long ago, and commands that run in processes of their own."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import apsw
import psycopg

from tests.admin.conftest import BEFORE
from tests.migrate.commands import TIMEOUT, Ran, command, finish, migrate
from tests.storage import SQLITE, Storage

STUDENTS = [f"student-{number:02}" for number in range(20)]
START, END = "2024-01-01T08:00:00.000000Z", "2024-01-01T08:45:00.000000Z"
PURGE = ("purge", "--ended-before", BEFORE)


def fill(storage: Storage, sessions: int, messages: int, students: list[str] = STUDENTS) -> None:
    """Add ended sessions of these students with messages of the first one."""
    assert migrate("up", "--database-url", storage.url).code == 0
    ids = [f"018cc409-6800-7000-8000-{number:012}" for number in range(sessions)]
    rows = {
        "sessions": (
            (id_, f"Room {id_[-4:]}", "ms_noether", START, END, "ended", json.dumps(students, separators=(",", ":")))
            for id_ in ids
        ),
        "enrollments": ((student, START, id_) for id_ in ids for student in students),
        "messages": (_message(id_, number, students[0]) for id_ in ids for number in range(1, messages + 1)),
    }
    if storage.kind == SQLITE:
        with closing(apsw.Connection(storage.url.removeprefix("sqlite:///"))) as file, file:
            for table, values in rows.items():
                for row in values:
                    file.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)
            file.execute("UPDATE session_counts SET sessions = sessions + ? WHERE status = 'ended'", (sessions,))
        return
    with psycopg.connect(storage.url) as server:
        heads = ((id_, "ended", messages, _time(messages) if messages else START) for id_ in ids)
        columns = {"session_heads": " (session_id, status, sequence, timestamp)"}
        for table, values in (rows | {"session_heads": heads}).items():
            with server.cursor().copy(f"COPY {table}{columns.get(table, '')} FROM STDIN") as copy:
                for row in values:
                    copy.write_row(row)
        server.execute("INSERT INTO session_counts VALUES (63, 0, %s)", (sessions,))
        server.execute("ANALYZE")


def _message(session_id: str, number: int, author: str) -> tuple[Any, ...]:
    id_ = f"018cc40a-{session_id[-4:]}-7000-8000-{number:012}"
    text = json.dumps({"text": f"message {number} " + "x" * (number % 300)}, separators=(",", ":"))
    return (session_id, number, id_, "analytics", "general", author, None, _time(number), text)


def _time(number: int) -> str:
    return f"2024-01-01T08:{number // 100:02}:00.{number:06}Z"


def admin_process(*arguments: str, **environment: str) -> Any:
    """Start a command of `shared.admin`."""
    return command(*arguments, module="shared.admin", **environment)


def ran(*arguments: str, **environment: str) -> Ran:
    """Run a command of `shared.admin` in a process of its own."""
    return finish(admin_process(*arguments, **environment))


def killed_when(reached: Callable[[], bool], *arguments: str) -> bool:
    """Start a command and kill it as soon as something is reached; False if it had ended before."""
    process = admin_process(*arguments)
    deadline = time.monotonic() + TIMEOUT
    try:
        while process.poll() is None and not reached():
            assert time.monotonic() < deadline
            time.sleep(0.001)
        return process.poll() is None
    finally:
        process.kill()
        process.communicate()


def number(storage: Storage, question: str) -> int:
    """The number that a statement returns; 0 for NULL."""
    return int(storage.ask([question])[0][0][0] or 0)


def steps(total: int, parts: int) -> Iterator[int]:
    """Falling numbers from `total` to 0."""
    return (total * part // parts for part in range(parts - 1, 0, -1))
