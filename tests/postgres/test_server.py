"""The tests' own servers: where the programs are out of reach, and where no server can run."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.postgres import server
from tests.postgres.server import PACKAGE, Attempts, Server, ServerUnavailableError


def site_packages(folder: Path) -> Path:
    """The wheel's programs under this folder."""
    programs = server.programs()
    site = folder / "site-packages"
    site.mkdir()
    for name in (PACKAGE, f"{PACKAGE}.libs"):
        (site / name).symlink_to(programs.parent.with_name(name))
    return site / PACKAGE / programs.name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another user")
def test_root_runs_a_server_whose_programs_its_user_cannot_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = site_packages(tmp_path)
    tmp_path.chmod(0o700)
    monkeypatch.setattr(server, "programs", lambda: programs)
    with Server() as started, started.connect() as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
        assert not started._programs.is_relative_to(tmp_path)


def test_a_process_that_cannot_make_a_server_says_so_at_once_ever_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "attempts", Attempts())
    monkeypatch.setattr(server, "programs", lambda: tmp_path / "nowhere")
    monkeypatch.setattr(server, "_reachable", lambda programs, user: programs)
    with pytest.raises(ServerUnavailableError, match="initdb"):
        Server()
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: pytest.fail("it was tried again"))
    with pytest.raises(ServerUnavailableError, match="initdb"):
        Server()


def test_a_server_that_does_not_start_again_is_the_failure_of_one_test() -> None:
    attempts = Attempts(started=True)
    assert "the log" in str(attempts.failed("the log"))
    attempts.check()
