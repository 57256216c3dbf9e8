"""`health`: what is up, and a 503 when the database is not as it should be."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared import clock, environment
from tests.conftest import Classroom, call, open_classroom


def run_sql(database: Path, sql: str) -> None:
    """Change the database behind the service's back, from another process."""
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.close()"
    subprocess.run([sys.executable, "-c", script, str(database), sql], check=True)


def test_a_fresh_service_is_healthy() -> None:
    answer = call("health")
    assert (answer.status, answer.body["status"], answer.body["database_status"]) == (
        200,
        "healthy",
        "connected",
    )


def test_the_answer_has_the_fields_that_monitors_read() -> None:
    assert call("health").body.keys() == {
        "status",
        "timestamp",
        "uptime_seconds",
        "active_sessions",
        "database_status",
        "cache",
        "writer",
    }


def test_the_cache_tells_its_two_figures(classroom: Classroom) -> None:
    assert call("health").body["cache"].keys() == {"active_sessions", "cache_size"}


def test_the_writer_counts_its_writes(classroom: Classroom) -> None:
    before, after = call("health").body["writer"], call("health").body["writer"]
    assert (before["writes"], after["writes"], after["queued"], after["failures"]) == (1, 2, 0, 0)


def test_the_uptime_grows_by_the_seconds_that_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    before, elapsed = call("health").body["uptime_seconds"], clock.elapsed
    monkeypatch.setattr(clock, "elapsed", lambda: elapsed() + 1000)
    assert 1000 <= call("health").body["uptime_seconds"] - before < 1060


def test_an_unhealthy_service_counts_no_sessions(classroom: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    environment.reset()
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", "mysql://nowhere")
    answer = call("health")
    assert (answer.status, answer.body["active_sessions"]) == (503, 0)
    assert answer.body["cache"] == {"active_sessions": 0, "cache_size": 0}


def test_active_sessions_are_counted() -> None:
    rooms = [open_classroom() for _ in range(3)]
    rooms[0].ask("end")
    assert call("health").body["active_sessions"] == 2


def test_active_sessions_are_counted_after_a_cold_start(classroom: Classroom) -> None:
    environment.reset()
    assert call("health").body["active_sessions"] == 1


def test_a_file_that_is_no_database_is_unhealthy(database: Path) -> None:
    database.write_bytes(b"This is no database. " * 500)
    answer = call("health")
    assert (answer.status, answer.body["status"]) == (503, "unhealthy")


def test_a_database_that_cannot_be_opened_is_unhealthy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", f"sqlite:///{tmp_path / 'nowhere' / 'classroom.db'}")
    answer = call("health")
    assert (answer.status, answer.body["status"]) == (503, "unhealthy")


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize(
    "sql",
    ["DROP TABLE messages", "ALTER TABLE sessions RENAME COLUMN name TO title"],
    ids=["table missing", "column renamed"],
)
def test_tables_that_do_not_match_are_unhealthy(database: Path, sql: str, cold: bool) -> None:
    healthy = call("health").status
    if cold:
        environment.reset()
    run_sql(database, sql)
    answer = call("health")
    assert (healthy, answer.status, answer.body["status"]) == (200, 503, "unhealthy")


def test_an_unhealthy_service_tells_a_short_reason_and_no_path(database: Path) -> None:
    database.write_bytes(b"This is no database. " * 500)
    answer = call("health")
    reason = answer.body["database_status"]
    assert (0 < len(reason) < 200, reason != "connected", str(database.parent) in answer.text) == (True, True, False)


def test_an_unhealthy_service_has_the_same_fields(database: Path) -> None:
    healthy = call("health").body.keys()
    environment.reset()
    database.write_bytes(b"This is no database. " * 500)
    assert call("health").body.keys() == healthy


def test_a_live_check_asks_no_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", f"sqlite:///{tmp_path / 'nowhere' / 'classroom.db'}")
    answer = call("health", query={"depth": "live"})
    assert (answer.status, answer.body) == (200, {"status": "healthy"})


def test_a_full_check_is_what_is_made_without_a_depth() -> None:
    assert call("health", query={"depth": "full"}).body.keys() == call("health").body.keys()


@pytest.mark.parametrize("depth", ["", "deep", "LIVE"])
def test_an_unknown_depth_is_refused(depth: str) -> None:
    answer = call("health", query={"depth": depth})
    assert (answer.refusal, answer.detail) == ((400, "invalid_request"), "depth: must be full or live")


def test_a_schema_that_does_not_match_is_told_without_sql(database: Path, classroom: Classroom) -> None:
    run_sql(database, "DROP TABLE messages")
    answer = call("health")
    words = ("CREATE TABLE", "SELECT", "sqlite", "Traceback", str(database.parent))
    assert (answer.status, [word for word in words if word in answer.text]) == (503, [])
