"""An error of a command is one line, which names the setting and contains no password."""

import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.migrate.commands import ROOT, migrate
from tests.storage import Storage

SECRET = "hunter2-and-more"
HASTE = {"SWITCHBOARD_BUSY_TIMEOUT_MS": "200"}


@pytest.fixture
def wrong_password(target: Storage) -> str:
    """A URL of a server that asks for another password."""
    parts = conninfo_to_dict(target.url)
    return f"postgresql://{parts['user']}:{SECRET}@127.0.0.1:{parts['port']}/{parts['dbname']}"


@pytest.fixture
def unreachable() -> Iterator[str]:
    """A URL where nobody listens."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"postgresql://switchboard:{SECRET}@127.0.0.1:{taken.getsockname()[1]}/classroom"


@pytest.fixture(params=["wrong_password", "unreachable", "scheme", "malformed"])
def bad_url(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A URL with a password that leads nowhere, and what is said of it."""
    urls = {
        "scheme": f"mysql://switchboard:{SECRET}@127.0.0.1/classroom",
        "malformed": f"postgresql://switchboard:{SECRET}@127.0.0.1:port/classroom?nonsense=1",
    }
    reasons = {
        "wrong_password": "the server refuses the user or the password in",
        "unreachable": "no server of",
        "scheme": "must begin with sqlite:/// or postgresql://",
        "malformed": "is not a valid postgresql:// URL",
    }
    url = urls.get(request.param) or request.getfixturevalue(request.param)
    return url, reasons[request.param]


@pytest.mark.parametrize("name", ["status", "up", "check"])
def test_a_bad_url(bad_url: tuple[str, str], name: str) -> None:
    url, reason = bad_url
    by_setting = migrate(name, SWITCHBOARD_DATABASE_URL=url, **HASTE)
    by_option = migrate(name, "--database-url", url, **HASTE)
    for ran, named in ((by_setting, "SWITCHBOARD_DATABASE_URL"), (by_option, "--database-url")):
        assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1), ran.err
        assert reason in ran.error
        assert named in ran.error
        assert SECRET not in ran.err


def test_a_bad_target(bad_url: tuple[str, str], storage: Storage) -> None:
    url, reason = bad_url
    assert migrate("up").code == 0
    by_option = migrate("copy", "--from", storage.url, "--to", url, **HASTE)
    by_setting = migrate("copy", "--from", storage.url, SWITCHBOARD_DATABASE_URL=url, **HASTE)
    for ran, named in ((by_option, "--to"), (by_setting, "SWITCHBOARD_DATABASE_URL")):
        assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1), ran.err
        assert reason in ran.error
        assert named in ran.error
        assert SECRET not in ran.err


def test_a_copy_goes_from_sqlite_to_postgresql(storage: Storage, target: Storage) -> None:
    migrate("up")
    assert "--from must begin with sqlite:///" in migrate("copy", "--from", target.url, "--to", target.url).error
    assert "--to must begin with postgresql://" in migrate("copy", "--from", storage.url, "--to", storage.url).error
    assert "SWITCHBOARD_DATABASE_URL must begin" in migrate("copy", "--from", storage.url).error


def test_a_source_that_is_missing_is_not_made(database: Path, target: Storage) -> None:
    ran = migrate("copy", "--from", f"sqlite:///{database}", "--to", target.url)
    assert ran.error == "error: --from: there is no such file"
    assert list(database.parent.iterdir()) == []


def test_a_source_of_an_older_version(storage: Storage, target: Storage) -> None:
    migrate("up")
    storage.run("DELETE FROM schema_migration")
    ran = migrate("copy", "--from", storage.url, "--to", target.url)
    assert (ran.code, "bring it up to date first" in ran.error) == (1, True)


def test_a_target_that_lacks_an_index(storage: Storage, target: Storage) -> None:
    migrate("up")
    migrate("up", "--database-url", target.url)
    target.run("DROP INDEX messages_id")
    ran = migrate("copy", "--from", storage.url, "--to", target.url)
    assert "add index messages (session_id, id) unique" in ran.error


def test_a_database_that_is_lost(database: Path) -> None:
    assert migrate("up").code == 0
    database.unlink()
    for name in ("status", "up", "check"):
        ran = migrate(name)
        assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1), ran.err
        assert ran.error.startswith("error: SWITCHBOARD_DATABASE_URL: database ")
    assert not database.exists()


@pytest.mark.parametrize("name", ["status", "up", "check"])
def test_a_folder_that_does_not_exist(tmp_path: Path, name: str) -> None:
    ran = migrate(name, "--database-url", f"sqlite:///{tmp_path}/gone/classroom.db")
    assert (ran.code, ran.out, ran.error) == (1, "", "error: --database-url: database folder is missing")
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(
    ("redirection", "reason"), [(">/dev/full", "cannot be written: No space"), (">&-", "is closed")]
)
def test_an_output_that_takes_nothing(database: Path, redirection: str, reason: str) -> None:
    command = ["/bin/sh", "-c", f"exec {shlex.quote(sys.executable)} -m shared.migrate status {redirection}"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert ran.stderr.startswith(f"error: standard output {reason}")


def test_a_setting_that_cannot_be_read() -> None:
    ran = migrate("status", SWITCHBOARD_QUEUE_SIZE="many")
    assert (ran.code, "SWITCHBOARD_QUEUE_SIZE" in ran.error) == (1, True)


def test_a_misspelt_setting() -> None:
    ran = migrate("status", SWITCHBOARD_DATABSE_URL="postgresql://127.0.0.1/classroom")
    assert ran.err.startswith("warning: SWITCHBOARD_DATABSE_URL is not a setting")


@pytest.mark.parametrize("arguments", [(), ("down",), ("copy",), ("copy", "--to", "postgresql://127.0.0.1/classroom")])
def test_a_command_line_that_cannot_be_read(arguments: tuple[str, ...]) -> None:
    assert migrate(*arguments).code == 2
