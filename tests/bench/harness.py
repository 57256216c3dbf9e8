"""Measuring: crowds of callers, rounds with their variants interleaved, medians.

A machine is never quiet. So the variants of a comparison take turns within every round, in another order each time,
the first round warms up and is dropped, and what counts is the median of the rounds. Garbage is collected as always.
"""

import statistics
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Call = Callable[[], object]


@dataclass(frozen=True)
class Effort:
    """How long and how large the measurements are."""

    rounds: int = 5
    warm_up: int = 1  # rounds before those, dropped
    seconds: float = 0.5  # of one measurement
    calls: int = 1000  # in one measurement of a single call's time
    starts: int = 11  # of a process
    callers: tuple[int, ...] = (1, 8, 32, 128)
    processes: tuple[int, ...] = (1, 2, 4, 8)
    sessions: tuple[int, ...] = (100, 10_000, 100_000)
    messages: int = 1_000_000
    page: int = 1000  # messages in a session's history
    starvation: float = 0.0  # seconds of the starvation run; 0 leaves it out


FULL = Effort()
QUICK = Effort(rounds=3, seconds=0.12, calls=300, starts=5)
SMALLEST = Effort(
    rounds=1,
    warm_up=0,
    seconds=0.02,
    calls=5,
    starts=1,
    callers=(1, 2),
    processes=(2,),
    sessions=(10, 20, 30),
    messages=40,
    page=4,
)


@dataclass
class Sample:
    """What a crowd did: how long each call took, how many were done in time, and what went wrong."""

    seconds: float
    done: int = 0
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Calls done a second."""
        return self.done / self.seconds

    def add(self, other: "Sample") -> None:
        """Take in what others of the crowd did in the same time."""
        self.done += other.done
        self.latencies.extend(other.latencies)
        self.failures += other.failures


def crowd(callers: Sequence[Call], seconds: float, start: float | None = None) -> Sample:
    """Let every caller call in a thread of its own, all from `start` (on `time.perf_counter`) for so many seconds.

    A call that was begun in time is waited for; it counts among the latencies, and not among those done in time.
    """
    samples = [Sample(seconds) for _ in callers]
    start = start or time.perf_counter() + 0.005 + 0.0005 * len(callers)
    if len(callers) == 1:
        repeat(callers[0], start, samples[0])
        return samples[0]
    threads = [
        threading.Thread(target=repeat, args=(call, start, sample))
        for call, sample in zip(callers, samples, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sample in samples[1:]:
        samples[0].add(sample)
    return samples[0]


def repeat(call: Call, start: float, sample: Sample) -> None:
    """Call again and again from `start` on until the sample's seconds are over."""
    clock = time.perf_counter
    took = sample.latencies.append
    end = start + sample.seconds
    time.sleep(max(0.0, start - clock()))
    before = clock()
    while before < end:
        try:
            call()
        except Exception as error:
            sample.failures[f"{type(error).__name__}: {error}"] += 1
        after = clock()
        took(after - before)
        before = after
    sample.done = max(0, len(sample.latencies) - sample.failures.total() - 1)  # the last one came too late


def time_each(call: Call, calls: int) -> float:
    """Seconds that one call takes, over many in a row."""
    before = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - before) / calls


def interleaved(effort: Effort, variants: Mapping[K, Callable[[], V]]) -> dict[K, list[V]]:
    """Measure every variant once a round; return what the rounds after the warm-up found."""
    found: dict[K, list[V]] = {name: [] for name in variants}
    names = list(variants)
    for number in range(effort.warm_up + effort.rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            result = variants[name]()
            if number >= effort.warm_up:
                found[name].append(result)
    return found


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Of values in ascending order: the one that so many percent do not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def latency_figures(samples: Sequence[Sample]) -> dict[str, float]:
    """Medians over the rounds of p50 and p99, and the longest wait of all, in milliseconds."""
    ordered = [sorted(sample.latencies) for sample in samples]
    return {
        "p50 ms": 1000 * median([percentile(values, 50) for values in ordered]),
        "p99 ms": 1000 * median([percentile(values, 99) for values in ordered]),
        "max ms": 1000 * max(values[-1] for values in ordered),
    }


def ratio(one: float, other: float) -> float:
    """How many times the other; without a measure when that is nothing."""
    return one / other if other else float("inf")


def failures(samples: Sequence[Sample]) -> Counter[str]:
    """What went wrong, and how often, in all rounds."""
    return sum((sample.failures for sample in samples), Counter())
