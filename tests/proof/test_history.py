"""A short round of the workload: processes, threads and kills on one database, and every promise checked."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

from msgspec import Raw

from shared.clock import now
from shared.config import Settings
from shared.database import open_database
from shared.entities import MessageDraft, Session
from tests.proof.integrity import damage
from tests.proof.rounds import Shape, run_round
from tests.storage import Storage

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


def test_what_processes_see_keeps_every_promise(empty: Storage, tmp_path: Path) -> None:
    shape = Shape(seed="short", seconds=7.0, processes=4, kill_every=1.2)
    result = run_round(shape, tmp_path / "round", empty)
    assert result.violations == []
    assert result.damage == []
    assert result.killed > 1
    assert [pair for pair in SEEN if result.counts[pair] == 0] == []


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
