"""Callers that give up, fork, or close while others write."""

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shared import environment
from tests.conftest import Classroom, call, message_body, open_classroom
from tests.faults.observing import refusals, serves, sound
from tests.faults.processes import TIMEOUT, Child, Report, apart


class Talkers:
    """Threads that store messages until they are told to stop; what is acknowledged is kept, and what is refused."""

    def __init__(self, room: Classroom, threads: int) -> None:
        self.acknowledged: list[str] = []
        self.refused: list[Any] = []
        self._room = room
        self._done = threading.Event()
        self._some = threading.Event()
        self._pool = ThreadPoolExecutor(threads)
        self._futures = [self._pool.submit(self._talk, number) for number in range(threads)]

    def _talk(self, speaker: int) -> None:
        number = 0
        while not self._done.is_set():
            text = f"{speaker}: {number}"
            answer = call("store", self._room.id, body=message_body(content={"text": text}))
            if answer.status == 201:
                self.acknowledged.append(text)
                self._some.set()
            else:
                self.refused.append(answer.refusal)
            number += 1

    def wait_for_some(self) -> None:
        """Return when there was an acknowledgement since the last call."""
        self._some.clear()
        assert self._some.wait(TIMEOUT)

    def __enter__(self) -> "Talkers":
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let every call end; none may hang. Twice is fine."""
        self._done.set()
        for future in self._futures:
            future.result(TIMEOUT)
        self._pool.shutdown()


def fork(work: Callable[[], object]) -> int:
    """A child that does this in a process of its own and tells by its exit code how it went."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def test_forks_amid_writes(classroom: Classroom, database: Path) -> None:
    forks = 15
    environment.reset()

    def work() -> dict[str, Any]:
        children = []
        with Talkers(classroom, 4) as talkers:
            for number in range(forks):
                talkers.wait_for_some()
                children.append(fork(lambda number=number: classroom.say(f"child {number}")))  # type: ignore[misc]
            codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        return {"codes": codes, "acknowledged": talkers.acknowledged, "refused": talkers.refused}

    told = apart(work)
    assert told["codes"] == [0] * forks
    assert told["refused"] == []
    texts = classroom.texts()
    assert sorted(texts) == sorted(told["acknowledged"] + [f"child {number}" for number in range(forks)])
    serves(classroom, texts)
    sound(database)


def test_a_forked_child_holds_nothing_of_its_parents(classroom: Classroom, database: Path) -> None:
    """A child that lives on, born while its parent was writing, keeps no lock of it alive."""

    def parent(report: Report) -> None:
        talkers = Talkers(classroom, 4)
        children = []
        for _ in range(5):
            talkers.wait_for_some()
            children.append(fork(lambda: time.sleep(TIMEOUT)))
        report(children)
        time.sleep(TIMEOUT)

    environment.reset()
    children: list[int] = []
    try:
        with Child(parent) as process:
            children = process.report()
        serves(classroom, classroom.texts())  # the parent was killed, its children live on
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
    sound(database)


def test_a_child_that_inherited_an_unfinished_read_is_refused(classroom: Classroom, database: Path) -> None:
    """SQLite's own book of locks is wrong in it, whatever it opens."""
    texts = ["first", "second"]
    for text in texts:
        classroom.say(text)
    told = environment.current().database._engine.snapshot(
        lambda _: apart(lambda: sorted(refusals(("list", "store"), classroom)))
    )
    assert told == [[503, "database_closed"]]
    assert apart(classroom.texts) == texts
    serves(classroom, texts)
    sound(database)


def test_close_answers_everybody_and_nobody_twice(classroom: Classroom, database: Path) -> None:
    with Talkers(classroom, 16) as talkers:
        closed = environment.current().database
        talkers.wait_for_some()
        closed.close()
        closed.close()
        acknowledged = list(talkers.acknowledged)
    assert set(talkers.refused) == {(503, "database_closed")}
    assert sorted(talkers.acknowledged) == sorted(set(talkers.acknowledged))
    assert set(acknowledged) <= set(talkers.acknowledged)
    assert call("store", classroom.id, body=message_body()).headers["retry-after"] == "1"
    environment.reset()
    texts = classroom.texts()
    assert sorted(texts) == sorted(talkers.acknowledged)
    serves(classroom, texts)
    sound(database)


def test_two_that_close_at_once(classroom: Classroom) -> None:
    with Talkers(classroom, 8) as talkers, ThreadPoolExecutor(4) as threads:
        talkers.wait_for_some()
        database = environment.current().database
        for future in [threads.submit(database.close) for _ in range(4)]:
            future.result(TIMEOUT)
    environment.reset()
    assert sorted(classroom.texts()) == sorted(talkers.acknowledged)


def test_cold_starts_amid_writes_lose_nothing(classroom: Classroom, database: Path) -> None:
    with Talkers(classroom, 8) as talkers:
        for _ in range(10):
            talkers.wait_for_some()
            environment.reset()
    assert set(talkers.refused) <= {(503, "database_closed")}
    texts = classroom.texts()
    assert sorted(texts) == sorted(talkers.acknowledged)
    serves(classroom, texts)
    sound(database)


def test_callers_that_give_up_leave_no_write_behind(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short deadline under load: whoever was told that nothing was written finds nothing written."""
    monkeypatch.setenv("SWITCHBOARD_WRITE_TIMEOUT_SECONDS", "0.005")
    environment.reset()
    room = open_classroom()
    with Talkers(room, 32) as talkers:
        time.sleep(1)
    assert set(talkers.refused) <= {(503, "database_busy"), (503, "database_timeout")}
    texts = room.texts()
    assert set(talkers.acknowledged) <= set(texts)
    unknown = talkers.refused.count((503, "database_timeout"))
    assert len(texts) - len(talkers.acknowledged) <= unknown
    assert len(texts) == len(set(texts))
    monkeypatch.setenv("SWITCHBOARD_WRITE_TIMEOUT_SECONDS", "5")
    environment.reset()
    serves(room, texts)
    sound(database)
