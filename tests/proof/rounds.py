"""A round: processes on a new database, some killed and replaced, then everything they saw is checked.

A long run is many rounds. Each has a folder and a database of its own, and its calls are bounded by its time and
their rate, so memory and disk stay bounded however long it runs.
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
_THREADS = 4  # of every third process; the others have one
_CLOCK_STEPS = (0.0, 1.5, -0.02)  # seconds, of one process after the other
_PATIENCE = 60.0  # seconds that a process may need to stop by itself


class ProcessFailedError(Exception):
    """A process of the workload stopped with an error of its own; the message is what it wrote."""


@dataclass(frozen=True)
class Shape:
    """What a round is like. Times are in seconds."""

    seed: str
    seconds: float
    processes: int
    kill_every: float | None = None  # one process killed and replaced so often
    rate: float = 6000.0  # calls a second of all callers together, at most


@dataclass
class Result:
    """What a round found, or several."""

    rounds: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many calls there were of an operation with an outcome."""
    killed: int = 0
    violations: list[Violation] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    """What is wrong with the database itself."""

    @property
    def sound(self) -> bool:
        """Whether every promise held."""
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
        """Kill one process every so many seconds, at random, and start another in its place; how many it were."""
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
    """A process of the workload, and the file that its errors go to."""

    log: Path


@contextmanager
def _process(plan: Plan, url: str) -> Iterator[_Process]:
    """Start a process; at the end it is gone."""
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
    if process.wait(_PATIENCE) != 0:
        raise ProcessFailedError(process.log.read_text("utf-8", "replace"))
