"""Short rounds of classes on the emulator: clients come and go, containers are killed, every promise is checked."""

from pathlib import Path

import pytest

from tests.proof.__main__ import add, new_database
from tests.proof.classes.people import Shape
from tests.proof.classes.rounds import run_round
from tests.proof.rounds import Result
from tests.storage import KINDS, PostgresDatabases

SEEN = [
    ("class", "ended"),
    ("client", "stayed"),
    ("client", "closed"),
    ("client", "dropped"),
    ("frame", "message"),
    ("frame", "history_complete"),
    ("frame", "session_ended"),
    ("frame", "replaced"),
]
ROUNDS = 4  # at most: on a slow machine one round may be too short for all that has to be seen


@pytest.mark.parametrize("kill_every", [None, 1.0], ids=["calm", "kills"])
@pytest.mark.parametrize("engine", KINDS)
def test_what_clients_receive_keeps_every_promise(
    engine: str, kill_every: float | None, postgres_databases: PostgresDatabases, tmp_path: Path
) -> None:
    found, missing = Result(), SEEN
    for number in range(1, ROUNDS + 1):
        shape = Shape(f"short {number}", 6.0 * number, kill_every=kill_every, options=("--max-containers", "2"))
        folder = tmp_path / str(number)
        folder.mkdir()
        with new_database(engine, folder, postgres_databases) as storage:
            add(found, run_round(shape, folder / "round", storage))
        missing = [pair for pair in SEEN if found.counts[pair] == 0]
        if not found.sound or not missing:
            break
    assert (found.violations, found.damage, missing) == ([], [], [])
    assert (found.killed > 0) == (kill_every is not None)
