"""`python -m tests.proof`: run the history checker in rounds until the time is over.

The rounds use the engines in turn, each with a new database. In every other round of an engine clients are connected:
an emulator serves classes. The PostgreSQL server is started for the run, unless
`SWITCHBOARD_TEST_POSTGRES_URL` names one.
"""

import argparse
import itertools
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import msgspec

from tests.proof.classes import people
from tests.proof.classes import rounds as classes
from tests.proof.rounds import Result, Shape, run_round
from tests.storage import KINDS, SQLITE, PostgresDatabases, Storage, sqlite_file

_KILL_EVERY = 1.5  # seconds
_SHOWN = 20  # violations of a round that are printed
_SHOWN_CALLS = 6  # of a violation

Run = Callable[[Path, Storage], Result]


def main() -> int:
    """Run rounds; return 0 if every promise was kept in all of them."""
    options = _options()
    engines = KINDS if options.engine == "both" else (options.engine,)
    kills = ", kills" if options.kill else ""
    print(f"{' and '.join(engines)}, seed {options.seed}, {options.processes} processes{kills}", flush=True)
    found = {engine: Result() for engine in engines}
    until = time.monotonic() + options.seconds
    with closing(PostgresDatabases()) as databases:
        for number, engine in zip(itertools.count(), itertools.cycle(engines)):
            seed, seconds = f"{options.seed} {number}", max(2.0, min(options.round, until - time.monotonic()))
            kill_every = _KILL_EVERY if options.kill else None
            run: Run = partial(run_round, Shape(seed, seconds, options.processes, kill_every))
            if number // len(engines) % 2:  # in every other of these nobody is killed: then an end has no excuse
                kill_every = kill_every if number // len(engines) % 4 == 1 else None
                run = partial(classes.run_round, people.Shape(seed, seconds, kill_every=kill_every))
            result = _round(run, engine, databases)
            add(found[engine], result)
            left = max(0, round(until - time.monotonic()))
            calls, killed = result.counts.total(), result.killed
            print(f"round {number} on {engine}: {calls} calls or frames, {killed} kills, {left} s left", flush=True)
            if not result.sound or (left == 0 and number + 1 >= len(engines)):
                break
    for engine in engines:
        _summarise(engine, found[engine])
    sound = all(result.sound for result in found.values())
    print(f"every promise was kept on {' and '.join(engines)}" if sound else "PROMISES WERE BROKEN")
    return 0 if sound else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("--engine", choices=[*KINDS, "both"], default="both", help="the engine (%(default)s)")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long to run (%(default)s)")
    parser.add_argument("--round", type=float, default=20.0, help="seconds between two checks (%(default)s)")
    parser.add_argument("--processes", type=int, default=6, help="how many processes (%(default)s)")
    parser.add_argument("--kill", action="store_true", help="kill processes at random moments, and start others")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="seed of the random choices")
    return parser.parse_args()


def _round(run: Run, engine: str, databases: PostgresDatabases) -> Result:
    """Run one round. Its folder is kept if something was found."""
    folder = Path(tempfile.mkdtemp(prefix="switchboard-proof-"))
    with new_database(engine, folder, databases) as storage:
        result = run(folder / "round", storage)
        if result.sound:
            shutil.rmtree(folder)
            return result
        storage.dump(folder)
    print(f"{engine}: {len(result.violations)} violations; the record and the tables are in {folder}")
    for finding in result.damage:
        print(f"\ndamage: {finding}")
    for violation in result.violations[:_SHOWN]:
        print(f"\n{violation.promise}: {violation.finding}")
        for call in violation.calls[:_SHOWN_CALLS]:
            print(" ", json.dumps(msgspec.to_builtins(call)))
    return result


@contextmanager
def new_database(engine: str, folder: Path, databases: PostgresDatabases) -> Iterator[Storage]:
    """An empty database on this engine: a file in the folder, or a database on the server."""
    if engine == SQLITE:
        yield sqlite_file(folder / "classroom.db")
    else:
        with databases.unmigrated() as storage:
            yield storage


def add(found: Result, result: Result) -> None:
    """Add the result of one round to those of the rounds before."""
    found.rounds += result.rounds
    found.counts += result.counts
    found.killed += result.killed
    found.violations += result.violations
    found.damage += result.damage


def _summarise(engine: str, found: Result) -> None:
    print(f"\n{engine}")
    for (operation, outcome), count in sorted(found.counts.items()):
        print(f"{operation:10} {outcome:24} {count:10}")
    print(f"{found.counts.total()} calls and frames in {found.rounds} rounds, {found.killed} processes killed")


if __name__ == "__main__":
    sys.exit(main())
