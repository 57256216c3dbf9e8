"""SessionManager: the cache is coherent, sessions are immutable, the database's failures change nothing."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import msgspec
import pytest

from shared import clock, errors
from shared.config import Settings
from shared.database import DatabaseManager, open_database
from shared.entities import Session
from shared.session_cache import SessionCache
from shared.sessions import SessionManager
from tests.storage import SQLITE, Storage

Ask = Callable[[SessionManager, str], object]


def ended_is_noticed(sessions: SessionManager, session: Session) -> None:
    """Every way to ask says that the session is over."""
    assert sessions.get_session(session.id).status == "ended"
    assert not sessions.is_session_active(session.id)
    assert sessions.list_active_sessions() == []
    with pytest.raises(errors.SessionEndedError):
        sessions.validate_session_membership(session.id, "ann", "student")


def test_a_session_is_active_until_it_is_ended(sessions: SessionManager) -> None:
    session = sessions.create_session("Algebra", "ms_noether", ["ann"])
    assert sessions.is_session_active(session.id.upper())
    sessions.end_session(session.id)
    assert not sessions.is_session_active(session.id)


def test_a_session_that_another_container_ended_does_not_look_alive(
    sessions: SessionManager, settings: Settings
) -> None:
    session = sessions.create_session("Maths", "ms_noether", ["ann"])
    sessions.validate_session_membership(session.id, "ann", "student")
    other = open_database(settings)
    SessionManager(other).end_session(session.id)
    other.close()
    ended_is_noticed(sessions, session)
    assert sessions.get_stats() == {"active_sessions": 0, "cache_size": 0}


def test_a_session_that_another_container_created_is_found(sessions: SessionManager, settings: Settings) -> None:
    other = open_database(settings)
    session = SessionManager(other).create_session("Maths", "ms_noether", ["ann"])
    other.close()
    sessions.validate_session_membership(session.id, "ann", "student")
    assert sessions.get_session(session.id) == session


@pytest.fixture
def full_disk(storage: Storage, manager: DatabaseManager) -> Callable[[], AbstractContextManager[None]]:
    """In whose context every write finds the disk full."""

    @contextmanager
    def in_a_file() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(manager._engine, "commit", _refuse)
            yield

    @contextmanager
    def on_a_server() -> Iterator[None]:
        storage.run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$;"
            "CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON session_counts EXECUTE FUNCTION refuse();"
        )
        yield
        storage.run("DROP FUNCTION refuse CASCADE")

    return in_a_file if storage.kind == SQLITE else on_a_server


def _refuse() -> None:
    raise errors.DatabaseFullError


def test_a_failed_end_changes_nothing(
    sessions: SessionManager, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    session = sessions.create_session("Maths", "ms_noether", ["ann"])
    with full_disk(), pytest.raises(errors.DatabaseFullError):
        sessions.end_session(session.id)
    sessions.validate_session_membership(session.id, "ann", "student")
    assert sessions.end_session(session.id).status == "ended"


def test_a_failed_create_leaves_nothing_in_the_cache(
    sessions: SessionManager, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    with full_disk(), pytest.raises(errors.DatabaseFullError):
        sessions.create_session("Maths", "ms_noether", ["ann"])
    assert sessions.get_stats()["cache_size"] == 0
    assert sessions.list_active_sessions() == []


def test_the_cache_is_filled_at_a_cold_start_and_bounded(sessions: SessionManager, manager: DatabaseManager) -> None:
    made = [sessions.create_session(f"Lesson {number}", "ms_noether", ["ann"]) for number in range(5)]
    fresh = SessionManager(manager, cache_size=3)
    fresh.load_active_sessions()
    assert fresh.get_stats() == {"active_sessions": 3, "cache_size": 3}
    for session in made:
        fresh.validate_session_membership(session.id, "ann", "student")
    assert fresh.get_stats()["cache_size"] == 3


def test_the_roster_of_an_ended_session_is_read_from_the_database(sessions: SessionManager) -> None:
    session = sessions.create_session("Maths", "ms_noether", ["ann", "bob"])
    sessions.end_session(session.id)
    assert sessions.roster(session.id, must_be_active=False) == {"ann", "bob"}


def test_confirming_a_session_that_is_not_in_the_cache_changes_nothing() -> None:
    cache = SessionCache(size=10)
    cache.confirm("a", clock.Moment.now())
    assert (len(cache), cache.get("a")) == (0, None)


def test_the_cache_is_bounded_by_bytes_too() -> None:
    cache = SessionCache(size=10, max_bytes=1200)
    for number in range(5):
        cache.put(Session(str(number), "Maths", "ms_noether", ("a" * 50, "b" * 50), ""), None)
    assert [cache.get(str(number)) is not None for number in range(5)] == [False, False, True, True, True]


def test_a_cached_session_that_is_put_again_or_dropped_leaves_its_room() -> None:
    cache, session = SessionCache(size=10, max_bytes=500), Session("a", "Maths", "ms_noether", ("ann",), "")
    for _ in range(5):
        cache.put(session, None)
        cache.put(msgspec.structs.replace(session, id="b"), None)
        cache.drop("b")
    assert len(cache) == 1


def test_a_refresh_forgets_what_ended(sessions: SessionManager, manager: DatabaseManager) -> None:
    session = sessions.create_session("Maths", "ms_noether", ["ann"])
    manager.update_session(session.id)
    sessions.refresh_cache()
    assert sessions.get_stats()["cache_size"] == 0


def test_sessions_are_immutable(sessions: SessionManager) -> None:
    session = sessions.create_session("Maths", "ms_noether", ["ann", "bob", "ann"])
    assert session.student_ids == ("ann", "bob")
    with pytest.raises(AttributeError):
        session.student_ids = ("eve",)  # type: ignore[misc]


@pytest.mark.parametrize("session_id", ["", "nobody", "../etc", "01a203fa-ae13-754c-85a7-910fc6247e38\n"])
@pytest.mark.parametrize(
    "ask",
    [
        SessionManager.get_session,
        SessionManager.end_session,
        lambda manager, key: manager.validate_session_membership(key, "ann", "student"),
    ],
)
def test_what_is_no_id_is_not_found(sessions: SessionManager, ask: Ask, session_id: str) -> None:
    with pytest.raises(errors.SessionNotFoundError):
        ask(sessions, session_id)
    assert not sessions.is_session_active(session_id)
