"""Measuring: crowds of callers, rounds with their variants interleaved, medians.

A machine is never quiet. So the variants of a comparison take turns within every round, forwards and backwards by
turns, the first round warms up and is dropped, and what counts is the median of the rounds. Garbage is collected as
always.
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

_HEAD_START = 0.005  # seconds in which the threads start


@dataclass(frozen=True)
class Effort:
    """How long and how large the measurements are."""

    rounds: int = 9
    warm_up: int = 1  # rounds before those, dropped
    seconds: float = 0.3  # of one measurement
    calls: int = 1000  # in one measurement of a single call's time
    starts: int = 11  # of a process
    callers: tuple[int, ...] = (1, 8, 32, 128)
    processes: tuple[int, ...] = (1, 2, 4, 8)
    sessions: tuple[int, ...] = (100, 10_000, 100_000)
    messages: int = 1_000_000
    page: int = 1000  # messages in a session's history
    scale_sessions: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    scale_messages: tuple[int, ...] = (100_000, 1_000_000, 10_000_000)
    clients: tuple[int, ...] = (1, 4, 16, 64)  # processes
    starvation: float = 0.0  # seconds of the starvation run; 0 leaves it out


FULL = Effort()
QUICK = Effort(
    rounds=3,
    seconds=0.12,
    calls=300,
    starts=5,
    callers=(1, 8, 32),
    scale_sessions=(10_000, 100_000),
    scale_messages=(100_000, 1_000_000),
    clients=(1, 4, 16),
)
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
    scale_sessions=(100, 200),
    scale_messages=(40, 80),
    clients=(1, 2),
)


@dataclass
class Sample:
    """The result of concurrent callers: successful calls per second, the time of each call, and the errors."""

    rate: float = 0.0
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Sample") -> None:
        """Add the result of other callers of the same time."""
        self.rate += other.rate
        self.latencies.extend(other.latencies)
        self.failures += other.failures


def crowd(callers: Sequence[Call], seconds: float, start: float | None = None) -> Sample:
    """Let every caller call in a thread of its own, all from `start` (on `time.perf_counter`) for so many seconds.

    The call that a caller is in at the end is waited for, and its time counts.
    """
    samples = [Sample() for _ in callers]
    if len(callers) == 1:
        repeat(callers[0], start or time.perf_counter(), seconds, samples[0])
        return samples[0]
    gate = threading.Event()

    def run(call: Call, sample: Sample) -> None:
        gate.wait()
        assert start is not None
        repeat(call, start, seconds, sample)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(callers, samples, strict=True)]
    for thread in threads:
        thread.start()
    start = start or time.perf_counter() + _HEAD_START
    gate.set()
    for thread in threads:
        thread.join()
    for sample in samples[1:]:
        samples[0].add(sample)
    return samples[0]


def repeat(call: Call, start: float, seconds: float, sample: Sample) -> None:
    """Call again and again from `start` on until the seconds are over."""
    clock = time.perf_counter
    took = sample.latencies.append
    end = start + seconds
    time.sleep(max(0.0, start - clock()))
    after = clock()
    while True:
        before = after
        try:
            call()
        except Exception as error:
            sample.failures[f"{type(error).__name__}: {error}"] += 1
        after = clock()
        took(after - before)
        if after >= end:
            break
    sample.rate = (len(sample.latencies) - sample.failures.total()) / (after - start)


def time_each(call: Call, calls: int) -> float:
    """The mean seconds of one call, over many in a row."""
    before = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - before) / calls


def interleaved(effort: Effort, variants: Mapping[K, Callable[[], V]]) -> dict[K, list[V]]:
    """Measure every variant once in each round; return the results after the warm-up."""
    found: dict[K, list[V]] = {name: [] for name in variants}
    names = list(variants)
    for number in range(effort.warm_up + effort.rounds):
        for name in reversed(names) if number % 2 else names:
            result = variants[name]()
            if number >= effort.warm_up:
                found[name].append(result)
    return found


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The percentile of sorted values."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def p99s(samples: Sequence[Sample]) -> list[float]:
    """The 99th percentile of each round, in seconds."""
    return [percentile(sorted(sample.latencies), 99) for sample in samples]


def latency_figures(samples: Sequence[Sample]) -> dict[str, float]:
    """Medians over the rounds of p50 and p99, and the `longest_wait`, in milliseconds."""
    ordered = [sorted(sample.latencies) for sample in samples]
    return {
        "p50 ms": 1000 * median([percentile(values, 50) for values in ordered]),
        "p99 ms": 1000 * median([percentile(values, 99) for values in ordered]),
        "longest ms": 1000 * longest_wait(samples),
    }


def longest_wait(samples: Sequence[Sample]) -> float:
    """The upper quartile, over the rounds, of a round's longest wait: one bad moment of the machine is no result."""
    return percentile(sorted(max(sample.latencies) for sample in samples), 75)


def ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    """The ratio of two variants: the median of the ratios of each round, which had the same machine load."""
    return median([one / other if other else float("inf") for one, other in zip(ones, others, strict=True)])


def failures(samples: Sequence[Sample]) -> Counter[str]:
    """The errors of all rounds, and how often each occurred."""
    return sum((sample.failures for sample in samples), Counter())
