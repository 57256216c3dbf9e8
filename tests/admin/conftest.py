"""Schools whose data lives: classrooms that ended long ago, and a command that runs as an operator runs it."""

import io
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from shared.admin.__main__ import main
from tests.conftest import Classroom, Freeze, call, message_body, open_classroom, session_body
from tests.migrate.commands import Ran
from tests.storage import SQLITE, Storage

LONG_AGO = "2024-01-01 08:00:00"
BEFORE = "2024-06-01"
"""After the ends of old classrooms."""


class Admin(Protocol):
    """Runs a command of `shared.admin` in this process."""

    def __call__(self, *arguments: str) -> Ran:
        """Exit code, standard output, standard error."""


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Admin]:
    """The command line, without a process of its own."""
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str) -> Ran:
        written, err = io.BytesIO(), io.StringIO()
        out = io.TextIOWrapper(written, "utf-8")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            try:
                code = main([*arguments])
            except SystemExit as exit_:  # argparse's
                code = int(exit_.code or 0)
        out.flush()
        return Ran(code, written.getvalue().decode(), err.getvalue())

    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def old(freeze: Freeze) -> Classroom:
    """A classroom of ms_noether with ann and bob that ended long ago, with five messages."""
    with_clock = freeze(LONG_AGO)
    room = open_classroom()
    for type_ in ("instructor_inbox", "request", "instructor_broadcast", "analytics"):
        room.say(f"{type_} by or to ann", type_)
    room.say("by bob", "analytics", from_user="bob")
    assert room.ask("end").status == 200
    with_clock.move_to("2026-11-22 08:00:00")
    return room


def keyed(name: str, key: str, session_id: str | None = None, **changes: Any) -> Any:
    """The session or message of a call under a key."""
    body = session_body(**changes) if name == "create" else message_body(**changes)
    answer = call(name, session_id, body=body, headers={"idempotency-key": key})
    assert answer.status == 201, answer.text
    return answer.body["session" if name == "create" else "message"]


def lines(ran: Ran) -> list[Any]:
    """The JSON values of a command's output."""
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def rows_of_all(storage: Storage) -> str:
    """Every row of every table, as text."""
    tables = ("sessions", "messages", "enrollments", "idempotency_keys", "message_rates", "erasures", "connections")
    return "\n".join(str(row) for found in storage.ask([f"SELECT * FROM {table}" for table in tables]) for row in found)


def bytes_of_files(storage: Storage) -> str:
    """Every byte of a SQLite file and its log; empty for a server."""
    if storage.kind != SQLITE:
        return ""
    path = Path(storage.url.removeprefix("sqlite:///"))
    files = [path, path.with_name(path.name + "-wal")]
    return "".join(file.read_bytes().decode("latin-1") for file in files if file.exists())
