"""A round of classes: an emulator of its own on a new database, and afterwards every promise is checked."""

import asyncio
from collections import Counter
from pathlib import Path

import msgspec

from tests.proof.checker import Violation
from tests.proof.classes.checker import violations
from tests.proof.classes.emulator import serving
from tests.proof.classes.people import Round, Shape
from tests.proof.classes.seen import Seen
from tests.proof.integrity import damage
from tests.proof.rounds import Result
from tests.storage import Storage


def run_round(shape: Shape, folder: Path, storage: Storage) -> Result:
    """Run one round on an empty database, in a folder of its own, and check it."""
    folder.mkdir()
    with serving(folder, storage, *shape.options) as emulator:
        seen = asyncio.run(Round(shape, emulator, storage).run())
    (folder / "seen.json").write_bytes(msgspec.json.encode(seen))
    return Result(
        rounds=1,
        counts=Counter(_counted(seen)),
        killed=len(seen.deaths),
        violations=[Violation(*broken, calls=[]) for broken in violations(seen)],
        damage=damage(storage),
    )


def _counted(seen: Seen) -> list[tuple[str, str]]:
    """What was seen, as (operation, outcome) of `Result.counts`."""
    counted = [("frame", frame.event or "message") for one in seen.connections for frame in one.frames]
    counted += [("client", one.departure.name.lower()) for one in seen.connections]
    return [*counted, *(("class", "ended") for _ in seen.ends)]
