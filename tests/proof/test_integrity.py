"""The questions asked of the tables, on forged damage: a sound database passes, and damage is found by its name."""

from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from msgspec import Raw

from shared.config import Settings
from shared.database import open_database
from shared.entities import IdempotencyKey, MessageDraft, Session
from tests.proof import integrity
from tests.proof.integrity import RULES, damage
from tests.storage import Storage

OPEN, OVER = "01a203fa-ae13-754c-85a7-910fc6247e38", "01a203fa-ae13-754c-85a7-910fc6247e39"

START = "2026-11-22T08:00:00.000000Z"

IN_BOTH = {
    "sequences have gaps": "DELETE FROM messages WHERE sequence = 2",
    "a message's time is before that of the one before it": (
        "UPDATE messages SET timestamp = '2001-01-01T00:00:00.000000Z' WHERE sequence = 2"
    ),
    "an id is used twice": (
        f"UPDATE messages SET id = (SELECT id FROM messages WHERE sequence = 3) WHERE session_id = '{OVER}'"
    ),
    "a message has no session": f"DELETE FROM sessions WHERE id = '{OVER}'",
    "a session ended before its last message": f"UPDATE sessions SET end_time = start_time WHERE id = '{OVER}'",
    "an enrollment is not on its session's roster": f"UPDATE sessions SET student_ids = '[]' WHERE id = '{OPEN}'",
    "a student of a roster is not enrolled": "DELETE FROM enrollments WHERE student_id = 'bob'",
    "a kept answer tells of what is not there": "DELETE FROM messages WHERE sequence = 3",
    "two kept answers tell of the same": (
        "INSERT INTO idempotency_keys SELECT scope, 'other', fingerprint, answer, created_at FROM idempotency_keys"
    ),
}
MISCOUNT = "a count is not the number of sessions"
IN_A_FILE = {
    MISCOUNT: "UPDATE session_counts SET sessions = 7 WHERE status = 'ended'",
    "a reference leads nowhere": f"DELETE FROM sessions WHERE id = '{OVER}'",
}
ON_A_SERVER = {
    MISCOUNT: "UPDATE session_counts SET ended = ended + 1",
    "a session has no head, or a head no session": f"DELETE FROM session_heads WHERE session_id = '{OVER}'",
    "a head is not its session's": "UPDATE session_heads SET status = 'active'",
    "a head is not at its last message": "UPDATE session_heads SET sequence = sequence + 1",
}
STRANGER = "a connection outlived its client, and perhaps its locks"
NOT_FORGED = {
    "a session is half ended",  # the tables' own checks let nobody do it
    "the file is damaged",  # tests/faults damages files
    "a transaction was left prepared",  # the tests' server prepares none
}


@pytest.fixture
def used(empty: Storage) -> Storage:
    """Two sessions, one of them over, with messages and a kept answer."""
    with closing(open_database(Settings(database_url=empty.url))) as database:
        for room in (OPEN, OVER):
            database.create_session(Session(room, "Maths", "ms_noether", ("ann", "bob"), START))
            database.store_message(draft(room))
        database.store_message(draft(OPEN))
        database.store_message(draft(OPEN), key=IdempotencyKey("store", "key", "fingerprint"))
        database.update_session(OVER)
    return empty


def draft(room: str) -> MessageDraft:
    """A message of ann's."""
    return MessageDraft(room, "analytics", "general", "ann", None, Raw(b"{}"))


def test_a_database_that_was_used_is_sound(used: Storage) -> None:
    assert damage(used) == []


def findings(storage: Storage) -> list[str]:
    """The rules that are broken."""
    return [finding.partition(":")[0] for finding in damage(storage)]


@pytest.mark.parametrize("rule", IN_BOTH)
def test_damage_is_found(used: Storage, rule: str) -> None:
    used.run(IN_BOTH[rule])
    assert rule in findings(used)


@pytest.mark.parametrize("rule", IN_A_FILE)
def test_damage_in_a_file_is_found(database: Path, used: Storage, rule: str) -> None:
    used.run(IN_A_FILE[rule])
    assert rule in findings(used)


@pytest.mark.parametrize("rule", ON_A_SERVER)
def test_damage_on_a_server_is_found(postgres: Storage, used: Storage, rule: str) -> None:
    used.run(ON_A_SERVER[rule])
    assert rule in findings(used)


def test_a_client_that_is_still_there_is_found(
    postgres: Storage, used: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "_TIMEOUT", 0.0)
    with psycopg.connect(used.url):
        assert findings(used) == [STRANGER]


def test_every_rule_has_its_damage() -> None:
    forged = {STRANGER, *IN_BOTH, *IN_A_FILE, *ON_A_SERVER}
    assert forged | NOT_FORGED == set().union(*RULES.values())
