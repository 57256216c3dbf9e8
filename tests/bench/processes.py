"""Processes: several of them write to one file, through the service and through what SQLite itself offers."""

import multiprocessing
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path

from tests.bench.databases import Classrooms, classrooms, scratch_copy
from tests.bench.harness import Effort, Sample, crowd, failures, interleaved, latency_figures, median, ratio
from tests.bench.peers import OursStore, RawImmediate, Writes
from tests.bench.report import Row, Section, Table, Target, at_least, at_most

SYNCHRONOUS = ("NORMAL", "FULL")
WRITERS: tuple[type[Writes], ...] = (OursStore, RawImmediate)

_LONGER = 5  # times a measurement's usual length, and twice that for the most processes: long waits want to be seen
_THREADS = 8  # in each process, in the widest measurement
_STARVED = 1.0  # seconds
_HEAD_START = 0.02  # seconds in which every process hears when to start

Variant = tuple[str, int, int, type[Writes]]
"""`synchronous`, processes, threads in each, who writes."""


def run(effort: Effort, folder: Path) -> Section:
    """Every number of processes, under both settings of `synchronous`."""
    original = classrooms(folder, effort.sessions[0])
    most = max(effort.processes)
    shapes = [(number, 1) for number in effort.processes] + [(most, _THREADS)]
    section = Section("processes")
    with _Fleet(most) as fleet:
        variants: dict[Variant, Callable[[], list[Sample]]] = {
            (level, number, threads, writes): fleet.measuring(
                writes, original, level, number, threads, _LONGER * effort.seconds * (1 + (number == most))
            )
            for level, (number, threads), writes in product(SYNCHRONOUS, shapes, WRITERS)
        }
        found = interleaved(replace(effort, rounds=(effort.rounds + 1) // 2), variants)
        for level in SYNCHRONOUS:
            rows = [_row(*key[1:], rounds) for key, rounds in found.items() if key[0] == level]
            section.tables.append(Table(f"synchronous={level}", rows))
            section.targets += _targets(level, most, found)
        if effort.starvation:
            table = _starvation(fleet, original, most, effort.starvation)
            section.tables.append(table)
    section.notes = [
        "jain: Jain's index of the processes' shares, 1 when all write equally often, 1/n when one does it all",
        "busy: calls that were refused because the database was locked, in all rounds; no write is tried again",
        "BEGIN IMMEDIATE: sqlite3 with a busy time-out of 5 s and the service's statements",
    ]
    if effort.starvation:
        section.targets += _starvation_targets(table, most)
        section.notes.append(
            f"starved is here who waits for longer than {_STARVED:g} s: a bound of this benchmark's own"
        )
    return section


def _row(processes: int, threads: int, writes: type[Writes], rounds: list[list[Sample]]) -> Row:
    everybody = [_together(samples) for samples in rounds]
    return {
        "processes x threads": f"{processes} x {threads}",
        "writer": writes.name,
        "writes/s": median([sample.rate for sample in everybody]),
        **latency_figures(everybody),
        "jain": median([_jain([sample.rate for sample in samples]) for samples in rounds]),
        "busy": failures(everybody).total(),
    }


def _targets(level: str, most: int, found: dict[Variant, list[list[Sample]]]) -> list[Target]:
    targets = []
    for threads in (1, _THREADS):
        rounds = {writes: found[level, most, threads, writes] for writes in WRITERS}
        ours, theirs = (_row(most, threads, writes, samples) for writes, samples in rounds.items())
        rates = [[_together(samples).rate for samples in rounds[writes]] for writes in WRITERS]
        where = f"{level}, {most} x {threads}"
        targets += [
            at_most(f"{where}: refused as busy", ours["busy"], 0),
            at_least(f"{where}: Jain's index", ours["jain"], 0.98),
            at_most(f"{where}: longest wait / BEGIN IMMEDIATE's", ours["longest ms"] / theirs["longest ms"], 0.1),
            at_least(f"{where}: writes / BEGIN IMMEDIATE's", ratio(*rates), 0.7),
        ]
    return targets


def _starvation(fleet: "_Fleet", original: Classrooms, processes: int, seconds: float) -> Table:
    rows = []
    for level, writes in product(SYNCHRONOUS, WRITERS):
        samples = fleet.measuring(writes, original, level, processes, 1, seconds)()
        everybody = _together(samples)
        rows.append(
            {
                "writer": f"{level}, {writes.name}",
                "writes/s": everybody.rate,
                "slowest process": min(sample.rate for sample in samples),
                "fastest": max(sample.rate for sample in samples),
                **latency_figures([everybody]),
                "jain": _jain([sample.rate for sample in samples]),
                "busy": everybody.failures.total(),
            }
        )
    return Table(f"{seconds:g} s without a pause, {processes} processes", rows)


def _starvation_targets(table: Table, processes: int) -> list[Target]:
    ours = [row for row in table.rows if row["writer"].endswith(f", {OursStore.name}")]
    return [
        at_most(
            f"{row['writer']}, {processes} processes: a process's longest wait in seconds",
            row["longest ms"] / 1000,
            _STARVED,
        )
        for row in ours
    ]


def _jain(shares: list[float]) -> float:
    squares = len(shares) * sum(share**2 for share in shares)
    return sum(shares) ** 2 / squares if squares else 0.0


def _together(samples: list[Sample]) -> Sample:
    whole = Sample()
    for sample in samples:
        whole.add(sample)
    return whole


class _Fleet:
    """Processes that stay for the whole section; a measurement is sent to as many as it needs."""

    def __init__(self, size: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for number in range(size):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, number), daemon=True)
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)

    def __enter__(self) -> "_Fleet":
        return self

    def __exit__(self, *_exception: object) -> None:
        for pipe in self._pipes:
            pipe.close()  # the process reads the end
        for process in self._processes:
            process.join(10)

    def measuring(
        self, writes: type[Writes], original: Classrooms, synchronous: str, processes: int, threads: int, seconds: float
    ) -> Callable[[], list[Sample]]:
        """A measurement: one sample of each process."""

        def measure() -> list[Sample]:
            pipes = self._pipes[:processes]
            with scratch_copy(original, original.path.parent) as copy:
                opening = (writes, copy, synchronous, threads, seconds)
                with _opened(pipes, opening):
                    start = time.perf_counter() + _HEAD_START
                    for pipe in pipes:
                        pipe.send(start)
                    answers = [pipe.recv() for pipe in pipes]
            return [_sample(*answer) for answer in answers]

        return measure


@contextmanager
def _opened(pipes: list[Connection], opening: tuple[type[Writes], Classrooms, str, int, float]) -> Iterator[None]:
    """All have opened the database and made ready; at the end all have closed it."""
    for pipe in pipes:
        pipe.send(opening)
    for pipe in pipes:
        pipe.recv()
    yield
    for pipe in pipes:
        pipe.recv()


def _serve(pipe: Connection, number: int) -> None:
    """A process's life: open, measure, answer, close, until the pipe ends. Each begins at other sessions."""
    while True:
        try:
            writes, copy, synchronous, threads, seconds = pipe.recv()
        except EOFError:
            return
        opened = writes(copy, synchronous)
        calls = opened.prepare(threads, seconds, first=number * _THREADS)
        pipe.send("opened")
        sample = crowd(calls, seconds, start=pipe.recv())
        pipe.send((sample.rate, sample.latencies.tobytes(), dict(sample.failures)))
        opened.close()
        pipe.send("closed")


def _sample(rate: float, latencies: bytes, failed: dict[str, int]) -> Sample:
    sample = Sample(rate, array("d"), Counter(failed))
    sample.latencies.frombytes(latencies)
    return sample
