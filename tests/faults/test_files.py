"""Files that are deleted, replaced, cut off or left without their log under the process."""

import itertools
import os
import shutil
import signal
from pathlib import Path

import apsw
import pytest

from shared import environment
from tests.conftest import Classroom, call, open_classroom
from tests.faults.observing import READS, WRITES, bytes_of, health, overwrite, refusals, serves, sound
from tests.faults.processes import Child, Report

UNAVAILABLE = {(503, "database_unavailable")}
CORRUPT = {(503, "database_corrupt")}


def beside(database: Path, ending: str) -> Path:
    """The log or its index."""
    return database.with_name(database.name + ending)


def back_up(database: Path) -> Path:
    """A copy of the database as it is now, in one file."""
    copy = database.with_name("backup.db")
    connection = apsw.Connection(str(database))
    connection.execute("VACUUM INTO ?", (str(copy),))
    connection.close()
    connection = apsw.Connection(str(copy))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return copy


@pytest.fixture
def texts(classroom: Classroom) -> list[str]:
    """What was said in the classroom, all acknowledged."""
    texts = [f"text {number}" for number in range(5)]
    for text in texts:
        classroom.say(text)
    return texts


def test_a_deleted_file_is_missed_and_not_made_anew(classroom: Classroom, texts: list[str], database: Path) -> None:
    aside = database.rename(database.with_name("aside"))
    assert refusals(READS + WRITES + ("end",), classroom) == UNAVAILABLE
    assert call("create").headers["retry-after"] == "5"
    assert health() == (503, "database file is missing")
    assert not database.exists()
    aside.rename(database)
    serves(classroom, texts)


def test_a_deleted_file_is_not_made_anew_by_a_cold_start(
    classroom: Classroom, texts: list[str], database: Path
) -> None:
    environment.reset()
    aside = database.rename(database.with_name("aside"))
    assert refusals(READS + WRITES, classroom) == UNAVAILABLE
    assert health() == (503, "database file is missing")
    assert not database.exists()
    aside.rename(database)
    serves(classroom, texts)


def test_an_emptied_file_is_no_new_database(classroom: Classroom, texts: list[str], database: Path) -> None:
    call("health")
    content = bytes_of(database)
    os.truncate(database, 0)
    assert refusals(READS + WRITES, classroom) == UNAVAILABLE
    assert health() == (503, "database file is missing")
    assert database.stat().st_size == 0
    overwrite(database, 0, content)
    serves(classroom, texts)


@pytest.mark.parametrize("log", ["left", "removed"])
def test_service_goes_on_with_a_backup_that_took_the_files_place(
    classroom: Classroom, texts: list[str], database: Path, log: str
) -> None:
    backup = back_up(database)
    lost = [f"after the backup {number}" for number in range(5)]
    for text in lost:
        classroom.say(text)
    late = open_classroom()
    aside = database.with_name("aside.db")
    os.link(database, aside)
    if log == "removed":
        beside(database, "-wal").unlink()
        beside(database, "-shm").unlink()
    backup.replace(database)

    assert refusals(("get",), late) == {(404, "session_not_found")}  # it is not played into the backup
    serves(classroom, texts)
    sound(database)
    if log == "left":  # and what was acknowledged since stands in the file that it was acknowledged for
        connection = apsw.Connection(str(aside))
        assert connection.execute("SELECT count(*) FROM messages").fetchall() == [(len(texts + lost) - 1,)]
        connection.close()
        sound(aside)


def test_a_read_is_enough_to_go_on_with_a_backup(classroom: Classroom, texts: list[str], database: Path) -> None:
    backup = back_up(database)
    classroom.say("after the backup")
    backup.replace(database)
    assert classroom.texts() == texts
    sound(database)


def test_a_file_that_is_still_being_copied_is_not_used(classroom: Classroom, texts: list[str], database: Path) -> None:
    content = back_up(database).read_bytes()
    database.unlink()
    database.write_bytes(content[:-8192])
    assert refusals(READS + WRITES, classroom) == CORRUPT
    assert health() == (503, "database is damaged or not a database")
    overwrite(database, len(content) - 8192, content[-8192:])
    serves(classroom, texts)
    sound(database)


def other_container(room: Classroom) -> Child:
    """A process with warm connections of its own, which stores and reads once every time it is continued."""

    def work(report: Report) -> None:
        for number in itertools.count():
            report(room.texts())
            os.kill(os.getpid(), signal.SIGSTOP)
            room.say(f"from another container {number}")

    environment.reset()
    return Child(work)


def test_another_container_goes_on_with_the_backup_too(classroom: Classroom, texts: list[str], database: Path) -> None:
    with other_container(classroom) as other:
        assert other.report() == texts
        other.wait_until_stopped()
        backup = back_up(database)
        classroom.say("after the backup")
        backup.replace(database)
        serves(classroom, texts)
        other.go_on()
        assert other.report() == [*texts, "from another container 0"]
    sound(database)


def test_a_removed_log_is_saved_before_the_next_write(classroom: Classroom, texts: list[str], database: Path) -> None:
    beside(database, "-wal").unlink()
    serves(classroom, texts)
    environment.reset()
    serves(classroom, texts)
    sound(database)


def test_a_removed_log_is_saved_by_a_process_that_only_reads(
    classroom: Classroom, texts: list[str], database: Path
) -> None:
    with other_container(classroom) as other:
        other.report()
        other.wait_until_stopped()
        assert classroom.texts() == texts  # this process has no writer now
        beside(database, "-wal").unlink()
        assert health() == (200, "connected")
        other.go_on()
        assert other.report() == [*texts, "from another container 0"]
    sound(database)


def test_a_removed_log_is_missed_by_who_comes_new_until_somebody_saved_it(
    classroom: Classroom, texts: list[str], database: Path
) -> None:
    with other_container(classroom) as other:

        def go_on(number: int) -> None:
            other.wait_until_stopped()
            other.go_on()
            texts.append(f"from another container {number}")
            assert other.report() == texts

        other.report()
        go_on(0)
        beside(database, "-wal").unlink()  # with the other one's message in it
        assert refusals(READS + WRITES, classroom) == UNAVAILABLE
        assert health()[0] == 503
        go_on(1)
        serves(classroom, texts)
        go_on(2)
        serves(classroom, texts)
    sound(database)


def test_a_cut_off_file_is_damaged_until_the_rest_is_back(
    classroom: Classroom, texts: list[str], database: Path
) -> None:
    environment.reset()
    serves(classroom, texts)
    content = bytes_of(database)
    os.truncate(database, len(content) // 2)
    assert refusals(READS + WRITES, classroom) == CORRUPT
    assert health() == (503, "database is damaged or not a database")
    assert database.stat().st_size == len(content) // 2
    overwrite(database, 0, content)
    serves(classroom, texts)
    sound(database)


def test_a_file_that_a_foreign_program_made_shorter_and_left_whole_is_used(
    classroom: Classroom, texts: list[str], database: Path
) -> None:
    for _ in range(20):
        classroom.say("x" * 10_000)
    environment.reset()
    assert len(classroom.texts()) == len(texts) + 20
    before = database.stat().st_size
    foreign = apsw.Connection(str(database))
    foreign.execute("DELETE FROM messages WHERE length(content) > 9999")
    foreign.execute("VACUUM")
    foreign.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    foreign.close()
    assert database.stat().st_size < before
    serves(classroom, texts)


def test_a_file_that_took_the_place_while_the_log_stayed_is_refused_when_it_is_in_use_already(
    classroom: Classroom, texts: list[str], database: Path
) -> None:
    def foreign(report: Report) -> None:
        report("ready")
        os.kill(os.getpid(), signal.SIGSTOP)
        connection = apsw.Connection(str(database))
        connection.execute("SELECT count(*) FROM sessions").fetchall()
        report("open")
        os.kill(os.getpid(), signal.SIGSTOP)

    with Child(foreign) as child:
        child.report()
        child.wait_until_stopped()
        backup = back_up(database)
        shutil.copy(backup, database.with_name("copy"))
        classroom.say("after the backup")
        backup.replace(database)
        child.go_on()
        child.report()
        assert refusals(READS + WRITES, classroom) == UNAVAILABLE
        assert health() == (503, "database file was replaced")
    database.with_name("copy").replace(database)  # restored again, once the other one is gone
    serves(classroom, texts)
    sound(database)
