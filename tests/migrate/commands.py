"""Runs `python -m shared.migrate` as a user does, and reads both databases directly."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import psycopg

from tests.storage import SQLITE, Storage

ROOT = Path(__file__).parents[2]
TIMEOUT = 120.0  # seconds; only a broken test waits this long
TABLES = ("sessions", "enrollments", "messages", "idempotency_keys", "erasures", "session_heads")

_OTHERS = (
    "SELECT pid, state, query FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'switchboard-sessions'"
)

Rows = list[tuple[Any, ...]]
PROGRESS = re.compile(r"[a-z]+ +\[[# ]{20}\]")


@dataclass(frozen=True)
class Ran:
    """The result of a command: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The only line on standard error, except for progress; there must be no traceback."""
        *before, last = self.err.splitlines()
        assert all(PROGRESS.match(line) for line in before), self.err
        assert last.startswith("error: "), self.err
        return last


def command(*arguments: str, module: str = "shared.migrate", **environment: str) -> "subprocess.Popen[str]":
    """Start a command."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def migrate(*arguments: str, **environment: str) -> Ran:
    """Run a command to its end."""
    return finish(command(*arguments, **environment))


def finish(process: "subprocess.Popen[str]") -> Ran:
    """Wait for the end of a command, and kill it if that takes too long, by a clock that no test freezes."""
    alarm = threading.Timer(TIMEOUT, process.kill)
    alarm.start()
    try:
        out, err = process.communicate()
    finally:
        alarm.cancel()
        alarm.join()
    return Ran(process.returncode, out, err)


@contextmanager
def copying(source: Storage, target: Storage) -> Iterator["Copy"]:
    """A copy that runs during the `with` block; it is killed at the end."""
    process = command("copy", "--from", source.url, "--to", target.url)
    with closing(psycopg.connect(target.url, autocommit=True)) as observer:
        try:
            yield Copy(process, observer)
        finally:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            _settle(observer)


def _settle(observer: psycopg.Connection) -> None:
    """Wait until the server has noticed that the client died: a commit that was sent may still be running."""
    deadline = time.monotonic() + TIMEOUT
    while others := observer.execute(_OTHERS).fetchall():
        assert time.monotonic() < deadline, others
        time.sleep(0.001)


class Copy:
    """A running copy, and a connection that reads its progress mark."""

    def __init__(self, process: "subprocess.Popen[str]", observer: psycopg.Connection) -> None:
        self.process = process
        self._observer = observer

    def copied(self) -> int:
        """The number of rows in the progress mark; 0 before there is one."""
        try:
            rows = self._observer.execute("SELECT copied FROM copy_progress").fetchall()
        except psycopg.errors.UndefinedTable:
            return 0
        return rows[0][0] if rows else 0

    def reach(self, rows: int) -> bool:
        """Wait until so many rows are copied; return whether the copy is still running."""
        deadline = time.monotonic() + TIMEOUT
        while self.process.poll() is None and self.copied() < rows:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        return self.process.poll() is None

    def freeze(self) -> None:
        """Freeze the copy."""
        self.process.send_signal(signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(self.process.pid, os.WUNTRACED)[1])

    def thaw(self) -> Ran:
        """Let the copy continue to its end."""
        self.process.send_signal(signal.SIGCONT)
        return finish(self.process)


def _time(column: str) -> str:
    return f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"


_SQLITE = {
    "sessions": "SELECT id, name, created_by, start_time, end_time, status, student_ids FROM sessions",
    "enrollments": "SELECT student_id, start_time, session_id FROM enrollments",
    "messages": "SELECT session_id, sequence, id, type, context, from_user, to_user, timestamp, content FROM messages",
    "idempotency_keys": "SELECT scope, key, fingerprint, answer, created_at FROM idempotency_keys",
    "erasures": "SELECT id, began_at, finished_at, sessions, messages, answers FROM erasures",
    "session_heads": "SELECT s.id, s.status, count(m.id), coalesce(max(m.timestamp), s.start_time)"
    " FROM sessions s LEFT JOIN messages m ON m.session_id = s.id GROUP BY s.id",
}
_POSTGRESQL = {
    "sessions": f"SELECT id::text, name, created_by, {_time('start_time')}, {_time('end_time')}, status, student_ids"
    " FROM sessions",
    "enrollments": f"SELECT student_id, {_time('start_time')}, session_id::text FROM enrollments",
    "messages": "SELECT session_id::text, sequence, id::text, type, context, from_user, to_user,"
    f" {_time('timestamp')}, content FROM messages",
    "idempotency_keys": f"SELECT scope, key, fingerprint, answer, {_time('created_at')} FROM idempotency_keys",
    "erasures": f"SELECT id::text, {_time('began_at')}, {_time('finished_at')}, sessions, messages, answers"
    " FROM erasures",
    "session_heads": f"SELECT session_id::text, status, sequence, {_time('timestamp')} FROM session_heads",
}


def rows_of(storage: Storage, table: str) -> Rows:
    """Every row in the formats of the service, read by other statements than those of the copy."""
    if storage.kind == SQLITE:
        with closing(apsw.Connection(storage.url.removeprefix("sqlite:///"))) as connection:
            return sorted(connection.execute(_SQLITE[table]).fetchall())
    with closing(psycopg.connect(storage.url)) as server:
        return sorted(server.execute(_POSTGRESQL[table]).fetchall())


def tables_of(target: Storage) -> set[str]:
    """The names of a server's tables."""
    with closing(psycopg.connect(target.url)) as server:
        return {name for (name,) in server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def assert_moved(source: Storage, target: Storage) -> None:
    """Assert that the target has exactly the rows of the source, and that no progress mark is left."""
    for table in TABLES:
        expected, found = rows_of(source, table), rows_of(target, table)
        assert len(found) == len(expected), table
        assert found == expected, table
    statuses = [row[5] for row in rows_of(source, "sessions")]
    with closing(psycopg.connect(target.url)) as server:
        counts = server.execute("SELECT sum(active), sum(ended) FROM session_counts").fetchall()
    assert counts == [(statuses.count("active"), statuses.count("ended"))]
    assert "copy_progress" not in tables_of(target)
