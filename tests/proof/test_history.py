"""A short round of the workload: processes, threads and kills on one database, and every promise checked."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import Raw

from shared.clock import now
from shared.config import Settings
from shared.database import open_database
from shared.entities import MessageDraft, Session
from tests.proof.__main__ import add, new_database
from tests.proof.integrity import damage
from tests.proof.rounds import Result, Shape, run_round
from tests.storage import KINDS, PostgresDatabases, Storage

SEEN = [
    ("create", "ok"),
    ("end", "ok"),
    ("end", "session_already_ended"),
    ("validate", "ok"),
    ("validate", "session_ended"),
    ("validate", "unauthorized"),
    ("get", "ok"),
    ("list", "ok"),
    ("store", "ok"),
    ("store", "session_ended"),
    ("store", "idempotency_key_reused"),
    ("history", "ok"),
]


ROUNDS = 5  # at most: on a slow machine one round may be too short for all that has to be seen


@pytest.mark.parametrize("engine", KINDS)
def test_what_processes_see_keeps_every_promise(
    engine: str, postgres_databases: PostgresDatabases, tmp_path: Path
) -> None:
    found, missing = Result(), SEEN
    for number in range(1, ROUNDS + 1):
        shape = Shape(seed=f"short {number}", seconds=7.0 * number, processes=4, kill_every=1.2)
        folder = tmp_path / str(number)
        folder.mkdir()
        with new_database(engine, folder, postgres_databases) as storage:
            add(found, run_round(shape, folder / "round", storage))
        missing = [pair for pair in SEEN if found.counts[pair] == 0]
        if not found.sound or (not missing and found.killed > 1):
            break
    assert (found.violations, found.damage, missing) == ([], [], [])
    assert found.killed > 1


KILLED_IN_THE_MIDDLE = """
import sys, time
from msgspec import Raw
from shared.config import Settings
from shared.database import open_database
from shared.entities import MessageDraft
from shared.writer import settled

database = open_database(Settings(database_url=sys.argv[1]))
draft = MessageDraft(sys.argv[2], "analytics", "general", "ann", None, Raw(b"{}"))

def write(connection, repeat):
    settled(database._writes.append(draft, lambda: None).run(connection, repeat))
    print("written, not committed", flush=True)
    time.sleep(60)

database._writer.write(write)
"""


def test_what_a_process_held_when_it_was_killed_holds_up_nobody(empty: Storage) -> None:
    room = Session("01a203fa-ae13-754c-85a7-910fc6247e38", "Maths", "ms_noether", ("ann",), now())
    draft = MessageDraft(room.id, "analytics", "general", "ann", None, Raw(b"{}"))
    with closing(open_database(Settings(database_url=empty.url))) as database:
        database.create_session(room)
        command = [sys.executable, "-c", KILLED_IN_THE_MIDDLE, empty.url, room.id]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"written, not committed\n"
            process.kill()
        stored = database.store_message(draft)
        assert database.get_session_history(room.id).messages == [stored]
    assert damage(empty) == []
