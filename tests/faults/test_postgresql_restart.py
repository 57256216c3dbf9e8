"""A PostgreSQL server that is stopped, killed, frozen and started under load, and the answers that callers get."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from shared import environment
from tests.conftest import Classroom, at_once, call, message_body, open_classroom
from tests.faults.load import DOWN, Load, check, contradictions, refusals_of
from tests.faults.observing import READS, health, refusals, serves
from tests.faults.processes import Child, Report
from tests.postgres.server import Server

WRITE_TIMEOUT = 2.0  # seconds
SLACK = 20.0  # seconds that an answer may come late in, on a slow machine; the frozen server stays away for longer


@pytest.fixture
def room(served: str, monkeypatch: pytest.MonkeyPatch) -> Classroom:
    """A room on the server."""
    monkeypatch.setenv("SWITCHBOARD_WRITE_TIMEOUT_SECONDS", str(WRITE_TIMEOUT))
    environment.reset()
    return open_classroom()


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Every process of the server is frozen."""
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@pytest.mark.parametrize("how", [Server.stop, Server.kill], ids=["stopped", "killed"])
def test_a_server_that_goes_down_and_comes_up_under_load(
    server: Server, served: str, room: Classroom, how: Callable[[Server], None]
) -> None:
    """Away for less and for longer than a caller waits: the same containers go on by themselves."""
    environment.reset()
    with Load(room, processes=3) as load:
        for away in (0.1, 0.6, WRITE_TIMEOUT + 0.5):
            load.wait_for_more()
            how(server)
            time.sleep(away)
            server.start()
            assert load.wait_for_more() < WRITE_TIMEOUT + SLACK
    assert refusals_of(load.facts)  # it was away long enough to be told
    with server.connect(served) as administrator:
        check(load.facts, administrator)
    environment.reset()
    serves(room, room.texts())


def test_a_write_waits_for_a_restart(server: Server, room: Classroom) -> None:
    texts: list[str] = []
    serves(room, texts)
    with ThreadPoolExecutor() as threads:
        server.stop()
        said = [threads.submit(room.say, str(number)) for number in range(8)]
        ended = threads.submit(open_classroom_and_end)
        time.sleep(0.3)
        server.start()
        for future in said:
            future.result()
        assert ended.result() == 200
    assert sorted(room.texts()) == sorted([*texts, *map(str, range(8))])
    serves(room, room.texts())


def open_classroom_and_end() -> int:
    """One room's whole life."""
    return open_classroom().ask("end").status


def test_a_server_that_stays_away_is_told_in_time_to_everybody(server: Server, room: Classroom) -> None:
    serves(room, [])
    texts = room.texts()
    server.stop()
    try:
        started = time.monotonic()
        answers = at_once(24, lambda number: room.store())
        assert time.monotonic() - started < WRITE_TIMEOUT + SLACK
        assert {answer.refusal for answer in answers} == {(503, "database_unavailable")}
        assert {answer.headers["retry-after"] for answer in answers} == {"5"}
        assert refusals(READS, room) == {(503, "database_unavailable")}
        assert health() == (503, "database is unavailable: no server of SWITCHBOARD_DATABASE_URL can be reached")
    finally:
        server.start()
    serves(room, texts)


def test_a_pause_that_is_shorter_than_the_deadline_is_waited_for(server: Server, room: Classroom) -> None:
    serves(room, [])
    with ThreadPoolExecutor() as threads:
        with frozen(server):
            said = threads.submit(room.say, "late")
            time.sleep(0.5)
            assert not said.done()
        said.result()
    assert room.texts()[-1] == "late"
    serves(room, room.texts())


def test_a_pause_that_is_longer_is_told_at_the_deadline(server: Server, served: str, room: Classroom) -> None:
    """A write that was being committed may be there, and its caller gets that answer; no other is written."""
    serves(room, [])
    before = room.texts()
    with frozen(server):
        started = time.monotonic()
        answers = at_once(12, lambda number: (number, store(room, str(number))))
        assert time.monotonic() - started < WRITE_TIMEOUT + SLACK
        started = time.monotonic()
        assert refusals(("list",), room) <= DOWN
        assert time.monotonic() - started < WRITE_TIMEOUT + SLACK
    refused = dict(answers)
    assert set(refused.values()) <= DOWN
    time.sleep(0.5)  # what was sent to the frozen server may be written now
    after = room.texts()
    assert after[: len(before)] == before
    stands = after[len(before) :]
    assert sorted(stands) == sorted(set(stands))
    assert {refused[int(text)] for text in stands} <= {(503, "database_timeout")}
    with server.connect(served) as administrator:
        assert contradictions(administrator) == []
    serves(room, after)


def test_a_cold_start_in_a_pause_is_told_in_time(server: Server, room: Classroom) -> None:
    texts = room.texts()
    environment.reset()
    with frozen(server):
        started = time.monotonic()
        assert call("create").refusal == (503, "database_unavailable")
        assert time.monotonic() - started < WRITE_TIMEOUT + SLACK
        started = time.monotonic()
        assert call("health").status == 503
        assert time.monotonic() - started < WRITE_TIMEOUT + SLACK
    serves(room, texts)


def test_pauses_under_load(server: Server, served: str, room: Classroom) -> None:
    environment.reset()
    with Load(room) as load:
        for away in (0.3, WRITE_TIMEOUT + 0.5):
            load.wait_for_more()
            with frozen(server):
                time.sleep(away)
            assert load.wait_for_more() < WRITE_TIMEOUT + SLACK
    with server.connect(served) as administrator:
        check(load.facts, administrator)


def test_a_cold_start_while_the_server_is_down_is_mended_by_the_next_call(server: Server, room: Classroom) -> None:
    environment.reset()
    server.kill()
    try:
        assert call("create").refusal == (503, "database_unavailable")
    finally:
        server.start()
    serves(room, [])


def test_children_of_a_container_find_the_server_again(server: Server, room: Classroom) -> None:
    """Each child opens a connection of its own, and keeps serving through a restart."""

    def live(report: Report) -> None:
        while True:
            report(list(room.store().refusal))

    with Child(live) as child:
        assert child.report() == [201, None]
        server.stop()
        while child.report()[0] != 503:
            pass
        server.start()
        while child.report()[0] != 201:
            pass
    serves(room, room.texts())


def store(room: Classroom, text: str) -> tuple[int, object]:
    """What a caller is told who says this."""
    return call("store", room.id, body=message_body(content={"text": text})).refusal
