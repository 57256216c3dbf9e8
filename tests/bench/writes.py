"""Writes: how many a second, and how long a caller waits, for 1 to 128 callers in one process."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

from tests.bench.databases import Classrooms, classrooms, scratch_copy
from tests.bench.harness import Effort, Sample, failures, interleaved, latency_figures, median, p99s, ratio
from tests.bench.peers import (
    CREATES,
    PEERS,
    STORES,
    DatasetteQueue,
    OursCreate,
    OursManagedCreate,
    OursManagedStore,
    OursStore,
    RawBatches,
    RawCreate,
    RawStore,
    RawStoreAndIds,
    Writes,
    installed,
)
from tests.bench.report import Row, Section, Table, Target, at_least, at_most

SYNCHRONOUS = ("NORMAL", "FULL")

Variant = tuple[str, int, type[Writes]]
"""`synchronous`, callers, who writes."""


def run(effort: Effort, folder: Path) -> Section:
    """Every writer at every width, under both settings of `synchronous`."""
    found = _measure(effort, folder)
    section = Section("writes")
    for synchronous, callers in product(SYNCHRONOUS, effort.callers):
        rows = [
            _row(writes, samples)
            for (level, width, writes), samples in found.items()
            if (level, width) == (synchronous, callers)
        ]
        section.tables.append(Table(f"synchronous={synchronous}, callers: {callers}", rows))
    section.targets = _targets(found, effort)
    section.notes = [
        "every measurement starts from a fresh copy of one database; callers wait for their own write to be committed",
        "sqlite3 runs the service's statements; its ids and times are made before the clock starts, or inside",
        "at several callers sqlite3 is one connection behind a lock; Datasette's callers are coroutines on one loop",
        "p50, p99, writes/s and ratios are medians of the rounds; longest is the upper quartile of the rounds' longest",
    ]
    if DatasetteQueue not in installed():
        section.notes.append("Datasette is not installed and left out")
    return section


def _measure(effort: Effort, folder: Path) -> dict[Variant, list[Sample]]:
    original = classrooms(folder, effort.sessions[0])
    variants: dict[Variant, Callable[[], Sample]] = {}
    for synchronous, callers in product(SYNCHRONOUS, effort.callers):
        everybody: tuple[type[Writes], ...] = (
            *STORES,
            *([RawStoreAndIds, RawBatches] if callers == 1 else []),
            *installed(PEERS),
            *CREATES,
        )
        for writes in everybody:
            variants[synchronous, callers, writes] = _once(writes, original, synchronous, callers, effort.seconds)
    return interleaved(effort, variants)


def _once(
    writes: type[Writes], original: Classrooms, synchronous: str, callers: int, seconds: float
) -> Callable[[], Sample]:
    def measure() -> Sample:
        with scratch_copy(original, original.path.parent) as copy:
            opened = writes(copy, synchronous)
            try:
                return opened.measure(callers, seconds)
            finally:
                opened.close()

    return measure


def _row(writes: type[Writes], samples: list[Sample]) -> Row:
    return {
        "writer": writes.name,
        "writes/s": median([sample.rate for sample in samples]),
        **latency_figures(samples),
        "failed": failures(samples).total(),
    }


def _targets(found: dict[Variant, list[Sample]], effort: Effort) -> list[Target]:
    rates = {key: [sample.rate for sample in samples] for key, samples in found.items()}
    targets = []
    for synchronous in SYNCHRONOUS:
        for ours, raw, bound in (
            (OursStore, RawStore, 0.8),
            (OursStore, RawStoreAndIds, 0.8),
            (OursManagedStore, RawStore, 0.6),
            (OursCreate, RawCreate, 0.8),
            (OursManagedCreate, RawCreate, 0.6),
        ):
            reached = ratio(rates[synchronous, 1, ours], rates[synchronous, 1, raw])
            targets.append(at_least(f"{synchronous}, 1 caller: {ours.name} / {raw.name}", reached, bound))
    wide = 32 if 32 in effort.callers else effort.callers[-1]
    best = {
        synchronous: max((rates[synchronous, wide, peer] for peer in installed()), key=median)
        for synchronous in SYNCHRONOUS
    }
    for synchronous, bound in zip(SYNCHRONOUS, (3.5, 5.0), strict=True):
        reached = ratio(rates[synchronous, wide, OursStore], best[synchronous])
        targets.append(at_least(f"{synchronous}, {wide} callers: ours / the best peer", reached, bound))
        reached = ratio(rates[synchronous, wide, OursStore], rates[synchronous, wide, RawStore])
        targets.append(at_least(f"{synchronous}, {wide} callers: ours / sqlite3 behind a lock", reached, 0.8))
        waits = [p99s(found[synchronous, wide, writes]) for writes in (OursStore, RawStore)]
        what = f"{synchronous}, {wide} callers: p99 of ours / sqlite3's behind a lock"
        targets.append(at_most(what, ratio(waits[0], waits[1]), 1.0))
    reached = ratio(rates["FULL", wide, OursStore], best["NORMAL"])
    targets.append(at_least(f"{wide} callers: ours at FULL / the best peer at NORMAL", reached, 1.0))
    for synchronous, callers in product(SYNCHRONOUS, effort.callers):
        theirs = min((p99s(found[synchronous, callers, peer]) for peer in installed()), key=median)
        what = f"{synchronous}, callers {callers}: p99 of ours / the best peer's"
        targets.append(at_most(what, ratio(p99s(found[synchronous, callers, OursStore]), theirs), 1.0))
    return targets
