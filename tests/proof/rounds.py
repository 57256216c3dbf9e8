"""A round: processes use a new database, some are killed and replaced, and then the record of their calls is checked.

A long run has many rounds. Each round has its own folder and database. Its time and the rate of calls are limited, so
a long run does not need more memory or disk than a short one.
"""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from shared.config import variable
from tests.proof.checker import Violation, violations
from tests.proof.integrity import damage
from tests.proof.record import read_folder
from tests.proof.workload import BOARD, Plan
from tests.storage import Storage

_ROOT = Path(__file__).parents[2]
_THREADS = 4  # in every third process; the others have one
_CLOCK_STEPS = (0.0, 1.5, -0.02)  # seconds by which the clock of each process in turn is wrong
_TIMEOUT = 60.0  # seconds in which a process must stop by itself


class ProcessFailedError(Exception):
    """A process of the workload failed; the message is its error output."""


@dataclass(frozen=True)
class Shape:
    """The size of a round. Times are in seconds."""

    seed: str
    seconds: float
    processes: int
    kill_every: float | None = None  # the mean time between two kills
    rate: float = 6000.0  # calls per second of all callers together, at most


@dataclass
class Result:
    """The result of one or more rounds."""

    rounds: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(operation, outcome) -> number of calls."""
    killed: int = 0
    violations: list[Violation] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    """What is wrong with the database itself."""

    @property
    def sound(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations and not self.damage


def run_round(shape: Shape, folder: Path, storage: Storage) -> Result:
    """Run one round on an empty database, in a folder of its own, and check it. Raises `ProcessFailedError`."""
    folder.mkdir()
    (folder / BOARD).touch()
    until = time.monotonic() + shape.seconds
    result = Result(rounds=1)
    with ExitStack() as stack:
        fleet = _Fleet(shape, folder, storage.url, until, stack)
        if shape.kill_every is not None:
            result.killed = fleet.kill_some(shape.kill_every)
        fleet.join()
        fleet.audit()
    calls = read_folder(folder)
    result.counts.update((call.operation, call.outcome) for call in calls)
    result.violations = violations(calls)
    result.damage = damage(storage)
    return result


class _Fleet:
    """The processes of one round."""

    def __init__(self, shape: Shape, folder: Path, url: str, until: float, stack: ExitStack) -> None:
        self._shape = shape
        self._folder = folder
        self._url = url
        self._until = until
        self._stack = stack
        self._random = random.Random(shape.seed)
        self._started = 0
        self._running = [self._start() for _ in range(shape.processes)]

    def kill_some(self, every: float) -> int:
        """Kill a random process about every `every` seconds, and start another. Return how many were killed."""
        killed = 0
        while time.monotonic() + every < self._until:
            time.sleep(every * self._random.uniform(0.5, 1.5))
            place = self._random.randrange(len(self._running))
            self._running[place].kill()
            self._running[place].wait()
            self._running[place] = self._start()
            killed += 1
        return killed

    def join(self) -> None:
        """Wait until every process has stopped by itself."""
        for process in self._running:
            _finish(process)

    def audit(self) -> None:
        """Let one more process read everything."""
        _finish(self._start(audit=True))

    def _start(self, *, audit: bool = False) -> "_Process":
        number = self._started
        self._started += 1
        threads = _THREADS if number % 3 == 0 else 1
        callers = self._shape.processes * _THREADS
        plan = Plan(
            folder=str(self._folder),
            name=f"process-{number}",
            seed=f"{self._shape.seed} {number}",
            until=self._until,
            rate=self._shape.rate / callers,
            threads=threads,
            clock_step=_CLOCK_STEPS[number % len(_CLOCK_STEPS)],
            audit=audit,
        )
        return self._stack.enter_context(_process(plan, self._url))


class _Process(subprocess.Popen[bytes]):
    """A process of the workload, with the file of its error output."""

    log: Path


@contextmanager
def _process(plan: Plan, url: str) -> Iterator[_Process]:
    """Start a process; it is killed at the end of the block."""
    folder = Path(plan.folder)
    command = [sys.executable, "-m", "tests.proof.workload", msgspec.json.encode(plan).decode()]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD_")}
    environment[variable("database_url")] = url
    log = folder / f"{plan.name}.log"
    with log.open("wb") as errors, _Process(command, cwd=_ROOT, env=environment, stderr=errors) as process:
        process.log = log
        try:
            yield process
        finally:
            process.kill()


def _finish(process: _Process) -> None:
    if process.wait(_TIMEOUT) != 0:
        raise ProcessFailedError(process.log.read_text("utf-8", "replace"))
