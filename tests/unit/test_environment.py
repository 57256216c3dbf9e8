"""The warm environment: built once, tried again after a failure, cold in a forked child."""

import os
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shared import environment, errors
from shared.config import Settings
from shared.database import DatabaseManager, open_database
from shared.sessions import SessionManager
from tests.storage import Storage

pytestmark = pytest.mark.usefixtures("settings")  # and so on both engines


def test_a_warm_container_keeps_its_environment() -> None:
    assert environment.current() is environment.current()


def test_threads_that_meet_at_a_cold_start_share_it() -> None:
    barrier, found = threading.Barrier(8), []

    def start() -> None:
        barrier.wait()
        found.append(environment.current())

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(environment) for environment in found}) == 1


def test_a_reset_is_a_cold_start() -> None:
    before = environment.current()
    environment.reset()
    assert environment.current() is not before
    with pytest.raises(errors.DatabaseClosedError):
        before.sessions.list_active_sessions()


def test_a_cold_start_without_a_server_s_database_is_tried_again(
    postgres: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = urlsplit(postgres.url).path[1:] + "_later"
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", urlsplit(postgres.url)._replace(path=f"/{later}").geturl())
    with pytest.raises(errors.DatabaseUnavailableError, match="does not have the database"):
        environment.current()
    postgres.run(f"CREATE DATABASE {later}")
    try:
        assert environment.sessions().list_active_sessions() == []
    finally:
        environment.reset()
        postgres.run(f"DROP DATABASE {later} WITH (FORCE)")


def test_a_failed_cold_start_is_tried_again(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = database.parent / "later"
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", f"sqlite:///{folder}/a.db")
    with pytest.raises(errors.DatabaseUnavailableError):
        environment.current()
    folder.mkdir()
    assert environment.sessions().list_active_sessions() == []


def test_a_failed_cold_start_closes_its_database(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[DatabaseManager] = []

    def open_and_keep(settings: Settings) -> DatabaseManager:
        opened.append(open_database(settings))
        return opened[-1]

    monkeypatch.setattr(environment, "open_database", open_and_keep)
    monkeypatch.setattr(SessionManager, "load_active_sessions", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        environment.current()
    with pytest.raises(errors.DatabaseClosedError):
        opened[0].update_session("nobody")


def test_a_forked_child_starts_cold_and_both_go_on() -> None:
    parent = environment.current()
    session = environment.sessions().create_session("Maths", "ms_noether", ["ann"])
    child = os.fork()
    if child == 0:  # no assertions here: a child reports by its exit code alone
        try:
            environment.sessions().end_session(session.id)
            refused = False
            try:
                parent.database.update_session(session.id)
            except errors.DatabaseClosedError:
                refused = True
            os._exit(0 if refused and environment.current() is not parent else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert environment.current() is parent
    assert not environment.sessions().is_session_active(session.id)
    environment.sessions().create_session("Physics", "ms_noether", ["ann"])
