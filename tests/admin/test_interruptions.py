"""Commands that are killed, beside a class, and with outputs that take nothing."""

import json
import os
import resource
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared import environment
from tests.admin.archive import PURGE, STUDENTS, admin_process, fill, killed_when, number, ran, steps
from tests.admin.conftest import bytes_of_files, rows_of_all
from tests.conftest import call, message_body, open_classroom
from tests.faults.processes import Child, Report
from tests.migrate.commands import ROOT, finish
from tests.proof.integrity import damage
from tests.storage import Storage

ROWS = "SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM enrollments)"
SESSIONS, MESSAGES = 60, 200


def test_a_purge_that_is_killed_leaves_a_sound_database_and_goes_on(storage: Storage) -> None:
    fill(storage, SESSIONS, MESSAGES)
    kills = 0
    for rows in steps(number(storage, ROWS), 5):
        kills += killed_when(lambda rows=rows: number(storage, ROWS) < rows, *PURGE)  # type: ignore[misc]
        assert damage(storage) == []
    assert kills >= 2, "too few to say anything"
    assert ran(*PURGE).code == 0
    assert number(storage, ROWS) == 0
    assert damage(storage) == []


def test_an_erasure_from_3000_sessions_that_is_killed_goes_on(storage: Storage) -> None:
    user, *_others = students = STUDENTS[:2]
    fill(storage, 3000, 2, students)
    erased = "SELECT sum(sessions) FROM erasures"
    for least in (200, 900):
        assert killed_when(lambda least=least: number(storage, erased) > least, "erase-user", user)  # type: ignore[misc]
    assert damage(storage) == []
    assert ran("erase-user", user).code == 0
    assert (number(storage, erased), number(storage, "SELECT sum(messages) FROM erasures")) == (3000, 6000)
    assert number(storage, "SELECT count(*) FROM erasures WHERE finished_at IS NOT NULL") == 1
    assert user not in rows_of_all(storage)
    assert damage(storage) == []
    storage.run("VACUUM")  # SQLite leaves old bytes in a page that it has split
    assert user not in bytes_of_files(storage)


def test_a_class_beside_a_purge_loses_nothing(storage: Storage) -> None:
    fill(storage, SESSIONS, MESSAGES)
    room = open_classroom()

    def write(report: Report, student: str) -> None:
        report("ready")
        for index in range(100_000):
            answer = call("store", room.id, body=message_body("analytics", from_user=student, content={"n": index}))
            report([answer.status, answer.body["message"]["id"]])

    with Child(lambda report: write(report, "ann")) as ann, Child(lambda report: write(report, "bob")) as bob:
        for child in (ann, bob):
            assert child.report() == "ready"
        assert ran(*PURGE).code == 0
        acknowledged = [child.report() for child in (ann, bob) for _ in range(20)]
        for child in (ann, bob):
            child.kill()
            acknowledged += child.rest()
    assert {status for status, _ in acknowledged} == {201}
    assert {id_ for _, id_ in acknowledged} <= {message["id"] for message in room.history()}
    assert number(storage, "SELECT count(*) FROM sessions") == 1
    room.ask("end")
    environment.reset()
    assert damage(storage) == []


def test_two_purges_at_once(storage: Storage) -> None:
    fill(storage, SESSIONS, MESSAGES)
    both = [admin_process(*PURGE) for _ in range(2)]
    assert [finish(process).code for process in both] == [0, 0]
    assert number(storage, ROWS) == 0
    assert damage(storage) == []


def test_an_export_to_a_full_disk_leaves_no_file(database: Path, storage: Storage, tmp_path: Path) -> None:
    fill(storage, SESSIONS, MESSAGES)
    target = tmp_path / "export.ndjson"
    command = [sys.executable, "-m", "shared.admin", "export", "--ended-before", "400d", "--output", str(target)]
    export = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY)),
    )
    *progress, error = export.stderr.splitlines()
    assert (export.returncode, error) == (1, f"error: {target} cannot be written: File too large")
    assert all(line.startswith("exporting") for line in progress)
    assert [path.name for path in tmp_path.iterdir() if "export" in path.name] == []


@pytest.mark.parametrize(
    ("redirection", "reason"),
    [
        (">/dev/full", "cannot be written: No space left on device"),
        (">&-", "is closed"),
        ("| head -c 10", "Broken pipe"),
    ],
)
def test_an_output_that_takes_nothing(database: Path, storage: Storage, redirection: str, reason: str) -> None:
    fill(storage, SESSIONS, MESSAGES)
    python = shlex.quote(sys.executable)
    script = f"set -o pipefail; {python} -m shared.admin export --ended-before 400d {redirection}"
    export = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    *progress, error = export.stderr.splitlines()
    assert export.returncode == 1
    assert error.startswith("error: standard output ")
    assert reason in error
    assert all(line.startswith("exporting") for line in progress)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_an_export_that_is_ended_leaves_no_file(database: Path, storage: Storage, tmp_path: Path, end: int) -> None:
    fill(storage, SESSIONS, MESSAGES)
    target = tmp_path / "export.ndjson"
    partial = target.with_name("export.ndjson.partial")
    process = admin_process("export", "--ended-before", "400d", "--output", str(target))
    while process.poll() is None and not partial.exists():
        os.sched_yield()
    process.send_signal(end)
    ended = finish(process)
    if ended.code == 0:  # it was complete before
        assert len(target.read_text().splitlines()) == SESSIONS * (1 + MESSAGES)
    else:
        assert (ended.code, target.exists()) == (130, False)
    assert not partial.exists()


def test_two_exports_to_one_file_are_not_mixed(database: Path, storage: Storage, tmp_path: Path) -> None:
    fill(storage, SESSIONS, MESSAGES)
    target = tmp_path / "export.ndjson"
    processes = [admin_process("export", "--ended-before", "400d", "--output", str(target)) for _ in range(2)]
    for process in processes:
        ended = finish(process)
        assert ended.code == 0 or "another command is writing" in ended.error
    assert len([json.loads(line) for line in target.read_text().splitlines()]) == SESSIONS * (1 + MESSAGES)
