"""Engines: the service on SQLite and on PostgreSQL side by side, and beside psycopg alone."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import cold
from tests.bench.callers import CALLS, CREATE, CROWD, HISTORY, STORE, VALIDATE, Caller, Psycopg, Service
from tests.bench.databases import Classrooms, classrooms, open_ours, scratch_copy
from tests.bench.deployed import unpacked
from tests.bench.harness import Effort, Sample, crowd, interleaved, latency_figures, median, ratio, time_each
from tests.bench.report import Row, Section, Table, Target, at_least, at_most
from tests.bench.servers import mirror, open_service

SQLITE, POSTGRESQL, ALONE = WHO = ("service on SQLite, FULL", "service on PostgreSQL", "psycopg alone")
BOTH_DRIVERS = "import peewee, with psycopg"

_FOR_PAGES = 100  # the usual number of calls, divided: a page takes long
_TO_PREPARE = 10  # calls, until every statement is prepared
_ROUNDS = 3  # times the usual number
_COLD_START = 60.0  # ms above the imports

Times = dict[tuple[str, str], list[float]]
Starts = dict[tuple[str, str], list[cold.Start]]
"""(call, caller) -> the time of each round."""


def run(effort: Effort, folder: Path) -> Section:
    """One caller, a crowd, and a cold start."""
    sessions = max(CROWD, effort.messages // 10 // effort.page)
    room = classrooms(folder, sessions, effort.page, sessions)
    with ExitStack() as stack:
        server = stack.enter_context(mirror(room))
        copy = stack.enter_context(scratch_copy(room, folder))
        who: dict[str, Callable[[], Caller]] = {
            SQLITE: lambda: Service(copy, open_ours(copy.path, "FULL")),
            POSTGRESQL: lambda: Service(room, open_service(server.url())),
            ALONE: lambda: Psycopg(room, server.url()),
        }
        longer = replace(effort, rounds=_ROUNDS * effort.rounds)
        one_call = {(name, whose): partial(_one, who[whose], name, effort) for name in CALLS for whose in WHO}
        times = interleaved(longer, one_call)
        crowds = interleaved(effort, {whose: partial(_crowd, who[whose], effort) for whose in WHO})
        task = unpacked(Path(stack.enter_context(TemporaryDirectory())), bytecode=True)
        starts = _cold_starts(effort, copy, server.url(), task)
    tables = [_alone_table(times), _crowd_table(crowds), _cold_table(starts)]
    notes = [
        "PostgreSQL and the callers share the machine, over a Unix socket; a commit is on the disk on both engines",
        "psycopg alone: one SELECT by primary key; one INSERT and its commit, its id made before; the rows of a page",
        "every measurement has new connections: which core a server process lands on makes a round trip 20 or 70 us",
        f"{CROWD} callers: threads; psycopg alone has a connection for each, and one transaction for each message",
    ]
    return Section("engines", tables, _targets(times, crowds, starts), notes)


def _one(opening: Callable[[], Caller], name: str, effort: Effort) -> float:
    calls = max(1, effort.calls // _FOR_PAGES) if name == HISTORY else effort.calls
    with closing(opening()) as caller:
        call = caller.calls()[name]
        time_each(call, min(calls, _TO_PREPARE))
        return time_each(call, calls)


def _crowd(opening: Callable[[], Caller], effort: Effort) -> Sample:
    with closing(opening()) as caller:
        calls = [caller.store(number) for number in range(CROWD)]
        crowd(calls, effort.seconds / 5)
        return crowd(calls, effort.seconds)


def _cold_starts(effort: Effort, copy: Classrooms, url: str, task: Path) -> Starts:
    file = f"sqlite:///{copy.path}"
    events = cold.events(copy)
    variants: dict[tuple[str, str], Callable[[], cold.Start]] = {
        (BOTH_DRIVERS, POSTGRESQL): partial(cold.start, "import peewee, psycopg", url, task)
    }
    for name in events:
        for whose, where in ((SQLITE, file), (POSTGRESQL, url)):
            variants[name, whose] = partial(cold.first_answer, name, cold.events(copy)[name], where, task)
    return interleaved(cold.with_rounds(effort), variants)


def _alone_table(times: Times) -> Table:
    rows: list[Row] = []
    for name in CALLS:
        row: Row = {"one caller": name}
        row |= {f"{whose}, us": 1e6 * median(times[name, whose]) for whose in WHO}
        row["PostgreSQL / psycopg"] = ratio(times[name, POSTGRESQL], times[name, ALONE])
        rows.append(row)
    return Table("one caller", rows)


def _crowd_table(crowds: dict[str, list[Sample]]) -> Table:
    rows: list[Row] = [
        {"storing": whose, "writes/s": median([sample.rate for sample in samples]), **latency_figures(samples)}
        for whose, samples in crowds.items()
    ]
    return Table(f"{CROWD} callers", rows)


def _cold_table(starts: Starts) -> Table:
    imports = [start.seconds for start in starts[BOTH_DRIVERS, POSTGRESQL]]
    rows: list[Row] = [
        {"first answer of": BOTH_DRIVERS, f"{SQLITE}, ms": "", f"{POSTGRESQL}, ms": 1000 * median(imports)}
    ]
    for name, whose in starts:
        if whose == SQLITE:
            times = {who: [start.seconds for start in starts[name, who]] for who in (SQLITE, POSTGRESQL)}
            rows.append({"first answer of": name} | {f"{who}, ms": 1000 * median(of) for who, of in times.items()})
    return Table("cold start", rows)


def _targets(times: Times, crowds: dict[str, list[Sample]], starts: Starts) -> list[Target]:
    targets = [
        at_most(f"{name}: PostgreSQL / psycopg alone", ratio(times[name, POSTGRESQL], times[name, ALONE]), bound)
        for name, bound in ((VALIDATE, 1.5), (STORE, 1.5), (CREATE, 1.5), (HISTORY, 1.3))
    ]
    rates = {whose: [sample.rate for sample in samples] for whose, samples in crowds.items()}
    what = f"{CROWD} callers: PostgreSQL / psycopg with a connection each"
    targets.append(at_least(what, ratio(rates[POSTGRESQL], rates[ALONE]), 2.0))
    imports = median([start.seconds for start in starts[BOTH_DRIVERS, POSTGRESQL]])
    for name, whose in starts:
        if whose == POSTGRESQL and name != BOTH_DRIVERS:
            above = 1000 * (median([start.seconds for start in starts[name, whose]]) - imports)
            targets.append(at_most(f"{name}, cold start: ms above importing peewee and psycopg", above, _COLD_START))
    return targets
