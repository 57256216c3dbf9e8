"""What a command refuses: one line, nothing is changed."""

from pathlib import Path

import pytest

from tests.admin.conftest import Admin
from tests.conftest import NOBODYS_ID, Classroom
from tests.storage import Storage

COMMANDS = (
    ("export", NOBODYS_ID),
    ("purge", "--ended-before", "400d"),
    ("report-user", "ann"),
    ("erase-user", "ann"),
    ("stats",),
)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "required: command"),
        (("delete",), "invalid choice: 'delete'"),
        (("export",), "one of the arguments SESSION --ended-before is required"),
        (("export", NOBODYS_ID, "--ended-before", "1d"), "not allowed with"),
        (("export", NOBODYS_ID, "--format", "xml"), "invalid choice: 'xml'"),
        (("purge",), "required: --ended-before"),
        (("purge", "--ended-before", "yesterday"), "'yesterday' is neither an age nor a date: 400d (days ago)"),
        (("purge", "--ended-before", "-5d"), "expected one argument"),
        (("purge", "--ended-before", "9999999d"), "neither an age nor a date"),
        (("purge", "--ended-before", "٤d"), "neither an age nor a date"),
        (("purge", "--ended-before", "2026-02-30"), "neither an age nor a date"),
        (("purge", "--ended-before", "0001-01-01T00:00:00+23:00"), "neither an age nor a date"),
        (("purge", "--ended-before", ""), "'' is neither an age nor a date"),
        (("erase-user",), "required: ID"),
        (("erase-user", ""), "'' is no user id"),
        (("erase-user", "ann' OR 1=1"), "is no user id: 1-50 of A-Z"),
        (("erase-user", "a" * 51), "is no user id"),
        (("erase-user", "%"), "is no user id"),
        (("report-user", "erased"), "'erased' stands for every erased user"),
        (("stats", "--format", "csv"), "invalid choice: 'csv'"),
    ],
)
def test_a_command_line_that_is_wrong(admin: Admin, arguments: tuple[str, ...], reason: str) -> None:
    ran = admin(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert reason in ran.err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_database_that_is_not_there_is_not_made(admin: Admin, tmp_path: Path, command: tuple[str, ...]) -> None:
    path = tmp_path / "none.db"
    ran = admin(*command, "--database-url", f"sqlite:///{path}")
    assert (ran.code, ran.error) == (1, "error: --database-url: there is no such file")
    assert not path.exists()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_database_of_an_older_version_is_not_touched(
    admin: Admin, old: Classroom, storage: Storage, command: tuple[str, ...]
) -> None:
    storage.run("DELETE FROM schema_migration WHERE name LIKE '%erasures'")
    ran = admin(*command)
    assert (ran.code, "erasures is pending: run `python -m shared.migrate up` first" in ran.error) == (1, True)


def test_a_url_that_leads_nowhere(admin: Admin) -> None:
    ran = admin("stats", "--database-url", "mysql://ann:secret@host/db")
    assert ran.error == "error: --database-url must begin with sqlite:/// or postgresql://"


def test_an_output_that_is_no_file(admin: Admin, old: Classroom, tmp_path: Path) -> None:
    for output, reason in ((tmp_path, "is not a regular file"), (tmp_path / "no" / "x", "No such file or directory")):
        ran = admin("export", old.id, "--output", str(output))
        assert (ran.code, ran.out, reason in ran.error) == (1, "", True)


def test_a_temporary_file_that_is_a_link_is_not_followed(admin: Admin, old: Classroom, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "export.partial").symlink_to(precious)
    assert admin("export", old.id, "--output", str(tmp_path / "export")).code == 1
    assert precious.read_text() == "precious"
