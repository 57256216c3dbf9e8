"""Every section works at the smallest size: it finds figures for what it compares. Speed is not asserted here."""

import json
import math
import sqlite3
import time
from array import array
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import apsw
import pytest
from rich.console import Console

from tests.bench import SECTIONS, section
from tests.bench.databases import classrooms, open_raw, scratch_copy
from tests.bench.harness import SMALLEST, Sample, crowd, interleaved, latency_figures, longest_wait
from tests.bench.peers import (
    STORES,
    OursCreate,
    OursStore,
    RawBatches,
    RawCreate,
    RawImmediate,
    RawStore,
    Writes,
    installed,
)
from tests.bench.report import at_least, at_most, readable

pytestmark = pytest.mark.filterwarnings(  # how Datasette's write thread is ended, which has no end of its own
    "ignore:Exception in thread .*_execute_writes:pytest.PytestUnhandledThreadExceptionWarning"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all sections keep their databases: each is made once."""
    return tmp_path_factory.mktemp("bench")


@pytest.mark.parametrize("name", SECTIONS)
def test_section_finds_figures(name: str, folder: Path) -> None:
    found = section(name)(SMALLEST, folder)
    assert found.name == name
    assert all(table.rows for table in found.tables)
    for row in (row for table in found.tables for row in table.rows):
        assert all(value >= 0 for value in row.values() if not isinstance(value, str)), row
    assert all(math.isfinite(target.bound) for target in found.targets)
    found.show(Console(quiet=True))
    written = json.loads(found.write(folder).read_text("utf-8"))
    assert written["section"] == name
    assert len(written["tables"]) == len(found.tables)


@pytest.mark.parametrize(("ours", "raw"), [(OursStore, RawStore), (OursCreate, RawCreate)])
def test_bare_sqlite_runs_the_service_s_statements(
    ours: type[Writes], raw: type[Writes], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise their ratio would mean nothing; change the raw writer when this fails."""
    served: list[str] = []

    def listen(connection: apsw.Connection) -> None:
        def note(_cursor: object, sql: str, _bindings: object) -> bool:
            served.append(sql)
            return True

        connection.exec_trace = note

    monkeypatch.setattr(apsw, "connection_hooks", [*apsw.connection_hooks, listen])
    bare: list[str] = []
    monkeypatch.setattr("tests.bench.peers.open_raw", lambda *arguments: _Listening(open_raw(*arguments), bare))
    for writes, statements in ((ours, served), (raw, bare)):
        with scratch_copy(classrooms(folder, 10), folder) as copy, closing(writes(copy, "NORMAL")) as opened:
            call = opened.prepare(1, 0.001)[0]
            statements.clear()
            call()
    assert len(bare) >= 4
    assert served[: len(bare)] == bare


def test_every_message_of_a_writer_is_there(folder: Path) -> None:
    everybody: tuple[type[Writes], ...] = (*STORES, RawBatches, RawImmediate, *installed())
    for writes in everybody:
        with scratch_copy(classrooms(folder, 10), folder) as copy:
            with closing(writes(copy, "NORMAL")) as opened:
                sample = opened.measure(2, 0.02)
            with closing(open_raw(copy.path)) as connection:
                stored = connection.execute("SELECT count(*), count(DISTINCT id) FROM messages").fetchone()
        assert not sample.failures, writes.name
        calls = len(sample.latencies) + 1  # the first one made ready
        assert stored == (calls * writes.each, calls * writes.each), writes.name


def test_crowd_counts_what_was_done_and_what_failed() -> None:
    turns = cycle((True, False))

    def call() -> None:
        time.sleep(0.001)
        if not next(turns):
            raise LookupError("now and then")

    started = time.perf_counter()
    sample = crowd([call], 0.05)
    took = time.perf_counter() - started
    succeeded = len(sample.latencies) - sample.failures.total()
    assert abs(succeeded - sample.failures.total()) <= 1
    assert succeeded / took <= sample.rate <= succeeded / sum(sample.latencies)
    assert set(sample.failures) == {"LookupError: now and then"}


def test_interleaved_gives_everybody_every_place_and_drops_the_warm_up() -> None:
    order: list[str] = []
    variants = {name: partial(order.append, name) for name in "ab"}
    found = interleaved(replace(SMALLEST, rounds=2, warm_up=1), variants)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(results) for name, results in found.items()} == {"a": 2, "b": 2}


def test_latency_figures_are_medians_but_for_the_longest() -> None:
    levels = (0.001, 0.002, 0.004)
    rounds = [Sample(latencies=array("d", [level] * 99 + [level * 10])) for level in levels]
    assert latency_figures(rounds) == pytest.approx({"p50 ms": 2, "p99 ms": 20, "longest ms": 40})


def test_a_round_with_a_bad_moment_does_not_decide_the_longest_wait() -> None:
    rounds = [Sample(latencies=array("d", [0.001, longest])) for longest in [0.002] * 8 + [9.0]]
    assert longest_wait(rounds) == 0.002


def test_targets_know_their_side() -> None:
    assert at_least("ratio", 0.8, 0.8).met
    assert not at_least("ratio", 0.79, 0.8).met
    assert at_most("ratio", 1.3, 1.3).met
    assert not at_most("ratio", 1.31, 1.3).met


@pytest.mark.parametrize(
    ("value", "text"), [(17234.4, "17,234"), (1.2345, "1.23"), (0.01234, "0.0123"), (0.0, "0"), (3, "3"), ("x", "x")]
)
def test_figures_have_three_digits(value: object, text: str) -> None:
    assert readable(value) == text


class _Listening:
    """A connection that notes its statements."""

    def __init__(self, connection: sqlite3.Connection, heard: list[str]) -> None:
        self._connection = connection
        self._heard = heard

    def execute(self, sql: str, bindings: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Note and execute."""
        self._heard.append(sql)
        return self._connection.execute(sql, bindings)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
