"""Writes that are repeated after an unknown outcome: they are made once and return the first answer."""

import uuid

import pytest
from msgspec import Raw

from shared import errors
from shared.clock import now
from shared.config import Settings
from shared.database import DatabaseManager, open_database
from shared.entities import MessageDraft, Session
from shared.writer import T
from shared.writes import Change
from tests.conftest import Freeze
from tests.storage import Storage


def write(manager: DatabaseManager, change: Change[T], *, repeat: bool = False) -> T:
    """Run the write, as a first attempt or as a repeat after an unknown outcome."""
    atomic = change.atomic and not repeat
    return manager._writer.write(lambda connection, _: change.run(connection, repeat), atomic=atomic)


@pytest.fixture
def room(manager: DatabaseManager) -> Session:
    """A session of ann's."""
    return manager.create_session(new_room())


def new_room() -> Session:
    """A session that nobody has stored."""
    return Session(str(uuid.uuid4()), "Maths", "ms_noether", ("ann", "bob"), now())


def draft(room: Session) -> MessageDraft:
    """A message of ann's."""
    return MessageDraft(room.id, "analytics", "general", "ann", None, Raw(b"{}"))


@pytest.mark.parametrize("stood", [True, False])
def test_a_session_is_created_once(manager: DatabaseManager, stood: bool) -> None:
    room = new_room()
    change = manager._writes.create(room)
    if stood:
        write(manager, change)
    assert write(manager, change, repeat=True) == room
    assert manager.list_active_sessions() == [room]
    assert manager.count_active_sessions() == 1


@pytest.mark.parametrize("stood", [True, False])
def test_a_message_is_stored_once(manager: DatabaseManager, room: Session, freeze: Freeze, stood: bool) -> None:
    clock = freeze("2999-01-01 00:00:00")
    change = manager._writes.append(draft(room), lambda: None)
    first = write(manager, change) if stood else None
    manager.store_message(draft(room))
    clock.tick(60)
    again = write(manager, change, repeat=True)
    assert first is None or again == first
    assert again in manager.get_session_history(room.id).messages
    assert len(manager.get_session_history(room.id).messages) == 2


def test_a_message_that_stood_is_told_after_the_end_too(manager: DatabaseManager, room: Session) -> None:
    change = manager._writes.append(draft(room), lambda: None)
    first = write(manager, change)
    manager.update_session(room.id)
    assert write(manager, change, repeat=True) == first
    with pytest.raises(errors.SessionEndedError):
        write(manager, manager._writes.append(draft(room), lambda: None), repeat=True)


@pytest.mark.parametrize("stood", [True, False])
def test_a_session_ends_once(manager: DatabaseManager, room: Session, freeze: Freeze, stood: bool) -> None:
    clock = freeze("2999-01-01 00:00:00")
    change = manager._writes.end(room.id)
    first = write(manager, change) if stood else None
    clock.tick(60)
    again = write(manager, change, repeat=True)
    assert first is None or again == first
    assert manager.get_session(room.id) == again
    assert manager.count_active_sessions() == 0


def test_an_end_at_the_last_message_s_time_is_known_again(
    manager: DatabaseManager, room: Session, freeze: Freeze
) -> None:
    clock = freeze("2999-01-01 00:00:00")
    manager.store_message(draft(room))
    clock.move_to("2998-01-01 00:00:00")
    change = manager._writes.end(room.id)
    assert write(manager, change) == write(manager, change, repeat=True)


def test_an_end_that_was_somebody_else_s_is_not_ours(manager: DatabaseManager, room: Session) -> None:
    ended = manager.update_session(room.id)
    with pytest.raises(errors.SessionAlreadyEndedError) as told:
        write(manager, manager._writes.end(room.id), repeat=True)
    assert told.value.end_time == ended.end_time


def test_an_active_session_is_never_called_ended(room: Session, postgres: Storage) -> None:
    """A copy brings the heads last: until then an end is neither made nor refused for good."""
    postgres.run("DELETE FROM session_heads")
    manager = open_database(Settings(database_url=postgres.url, write_timeout_seconds=0.3))
    try:
        with pytest.raises(errors.DatabaseTimeoutError):
            manager.update_session(room.id)
        assert manager.get_session(room.id) == room
    finally:
        manager.close()
