"""Connections that are ended, cut and forked, and transactions that lose: to locks, deadlocks and serialization."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from shared import environment, errors
from shared.engines.postgresql import connections as postgresql_connections
from tests.conftest import Answer, Classroom, at_once, call, message_body, open_classroom, session_body
from tests.faults.load import Load, check, contradictions, refusals_of
from tests.faults.observing import BUSY_TIMEOUT, READS, SOON, health, refusals, serves
from tests.faults.processes import TIMEOUT, Child, Report, apart
from tests.faults.proxy import Proxy
from tests.postgres.server import PASSWORD, Server

BUSY = (503, "database_busy")


@pytest.fixture
def administrator(server: Server, served: str) -> Iterator[psycopg.Connection]:
    """Somebody who may do anything in the test's database."""
    with server.connect(served) as connection:
        yield connection


@pytest.fixture
def room(served: str) -> Classroom:
    """A room on the server."""
    return open_classroom()


def backends(administrator: psycopg.Connection, condition: str = "true") -> list[int]:
    """The server's processes for the service's connections."""
    asked = f"SELECT pid FROM pg_stat_activity WHERE application_name = 'switchboard-sessions' AND {condition}"
    return [pid for (pid,) in administrator.execute(f"{asked} AND datname = current_database()").fetchall()]


def terminate(administrator: psycopg.Connection, condition: str = "true") -> int:
    """End the service's connections; how many there were."""
    ended = backends(administrator, condition)
    administrator.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", (ended,))
    until(lambda: set(ended).isdisjoint(backends(administrator)))
    return len(ended)


def settled(administrator: psycopg.Connection) -> list[int]:
    """Of a container that serves one call after the other; the health check's look at the tables takes its leave."""
    until(lambda: len(backends(administrator)) == 1)
    return backends(administrator)


def until(reached: Callable[[], Any]) -> Any:
    """Wait for it; what it was."""
    deadline = time.monotonic() + TIMEOUT
    while not (found := reached()):
        assert time.monotonic() < deadline, "the awaited state was not reached"
        time.sleep(0.005)
    return found


def blocked(administrator: psycopg.Connection, times: int = 1) -> None:
    """Wait until so many of the service's statements wait for a lock."""
    until(lambda: len(backends(administrator, "wait_event_type = 'Lock'")) == times)


@contextmanager
def locked(server: Server, served: str, *rooms: Classroom) -> Iterator[psycopg.Connection]:
    """Somebody else's transaction holds these rooms' heads."""
    with server.connect(served) as foreign:
        foreign.execute("BEGIN")
        for room in rooms:
            lock(foreign, room)
        yield foreign
        foreign.execute("ROLLBACK")


def lock(foreign: psycopg.Connection, room: Classroom) -> None:
    """Wait for a room's head, and hold it."""
    foreign.execute("SELECT 1 FROM session_heads WHERE session_id = %s FOR UPDATE", (room.id,))


def store(room: Classroom, text: str, key: str | None = None) -> Answer:
    """Say something, with a key or without."""
    headers = {"Idempotency-Key": key} if key else {}
    return call("store", room.id, body=message_body(content={"text": text}), headers=headers)


# --- connections that the server ends


def test_connections_that_are_ended_under_load(administrator: psycopg.Connection, room: Classroom) -> None:
    """A write whose answer was lost is found by its repeat: nobody is told anything but success."""
    environment.reset()
    ended = 0
    with Load(room, processes=3) as load:
        for _ in range(60):
            load.wait_for_more(1)
            ended += terminate(administrator)
        load.wait_for_more()
    assert ended > 60
    check(load.facts, administrator)
    assert refusals_of(load.facts) <= {(503, "database_unavailable")}  # of a read that had no luck
    serves(room, room.texts())


def test_a_connection_that_is_ended_while_it_is_idle_costs_nobody_an_error(
    administrator: psycopg.Connection, room: Classroom
) -> None:
    texts: list[str] = []
    serves(room, texts)
    settled(administrator)
    for _ in range(3):
        assert terminate(administrator) == 1
        texts.append(f"after {len(texts)}")
        room.say(texts[-1])
        assert terminate(administrator) == 1
        assert room.texts() == texts
    assert terminate(administrator) == 1
    assert health() == (200, "connected")
    assert environment.current().database.writer_stats()["retries"] == 0


@pytest.mark.parametrize("keyed", [False, True], ids=["single", "keyed"])
def test_a_connection_that_is_ended_in_the_middle_of_a_write(
    server: Server, served: str, administrator: psycopg.Connection, room: Classroom, *, keyed: bool
) -> None:
    """The keyed one has begun a transaction of several statements."""
    serves(room, [])
    texts = room.texts()
    with ThreadPoolExecutor() as threads:
        with locked(server, served, room):
            said = threads.submit(store, room, "once", "key" if keyed else None)
            blocked(administrator)
            assert terminate(administrator, "wait_event_type = 'Lock'") == 1
        assert said.result().status == 201
    if keyed:
        assert store(room, "once", "key").text == said.result().text
    assert room.texts() == [*texts, "once"]
    assert contradictions(administrator) == []


# --- transactions that lose


def test_serialization_failures_are_made_again(
    server: Server, served: str, administrator: psycopg.Connection, room: Classroom
) -> None:
    """Where the database's default is serializable, every two that meet in one room fail one another."""
    administrator.execute(f"ALTER DATABASE {served} SET default_transaction_isolation = 'serializable'")
    environment.reset()
    with Load(room, processes=3, threads=2) as load:
        for _ in range(8):
            load.wait_for_more()
    assert refusals_of(load.facts) == set()
    check(load.facts, administrator)
    assert server.log().count("could not serialize access") > 10


def test_one_end_wins_where_everything_is_serializable(
    served: str, administrator: psycopg.Connection, room: Classroom
) -> None:
    administrator.execute(f"ALTER DATABASE {served} SET default_transaction_isolation = 'serializable'")
    environment.reset()

    def end(report: Report) -> None:
        environment.current()
        report("ready")
        os.kill(os.getpid(), signal.SIGSTOP)  # until both are ready
        for answer in at_once(4, lambda _: room.ask("end")):
            times = [answer.body.get("end_time"), answer.body.get("session", {}).get("end_time")]
            report([answer.status, *filter(None, times)])

    with Child(end) as one, Child(end) as other:
        for child in (one, other):
            assert child.report() == "ready"
            child.wait_until_stopped()
        for child in (one, other):
            child.go_on()
        told = [child.report() for child in (one, other) for _ in range(4)]
    assert sorted(status for status, _ in told) == [200] + [409] * 7
    assert len({end_time for _, end_time in told}) == 1


def test_a_deadlock_with_somebody_else_is_made_again(
    server: Server, served: str, administrator: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_BUSY_TIMEOUT_MS", "3000")
    administrator.execute(f"ALTER DATABASE {served} SET deadlock_timeout = '50ms'")
    environment.reset()
    rooms = sorted((open_classroom() for _ in range(4)), key=lambda room: room.id)
    serves(rooms[0], [])
    with (
        ThreadPoolExecutor() as threads,
        locked(server, served, rooms[0]) as first,
        locked(server, served, rooms[2]) as second,
        locked(server, served, rooms[3]) as enemy,
    ):
        enemy.execute("SET deadlock_timeout = '10s'")
        said = [threads.submit(store, rooms[0], "leads")]
        blocked(administrator)
        said += [threads.submit(store, room, "follows") for room in rooms[1:]]
        until(lambda: environment.current().database.writer_stats()["queued"] == 3)
        first.execute("COMMIT")  # now the three are one transaction, which holds rooms[1] and waits for rooms[2]
        until(lambda: said[0].done())
        blocked(administrator)
        want = threads.submit(lock, enemy, rooms[1])
        until(lambda: waits(administrator, enemy))
        second.execute("COMMIT")  # it wants rooms[3] now, whose holder wants rooms[1]
        want.result()
        enemy.execute("COMMIT")
        assert [future.result().status for future in said] == [201] * 4
    assert [room.texts() for room in rooms[1:]] == [["follows"]] * 3
    assert server.log().count("deadlock detected") == 1
    assert contradictions(administrator) == []


def waits(administrator: psycopg.Connection, who: psycopg.Connection) -> bool:
    """Whether somebody's statement waits for a lock."""
    asked = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s"
    return administrator.execute(asked, (who.info.backend_pid,)).fetchall() == [("Lock",)]


def test_a_lock_that_is_held_for_less_than_the_deadline_is_waited_for(
    server: Server, served: str, administrator: psycopg.Connection, room: Classroom
) -> None:
    other = open_classroom()
    with ThreadPoolExecutor() as threads:
        with locked(server, served, room):
            said = threads.submit(room.say, "late")
            time.sleep(3 * BUSY_TIMEOUT)
            other.say("meanwhile")
            assert not said.done()
        said.result()
    assert (room.texts(), other.texts()) == (["late"], ["meanwhile"])
    assert contradictions(administrator) == []


@pytest.mark.parametrize("keyed", [False, True], ids=["single", "keyed"])
def test_a_lock_that_is_held_for_longer_is_told_and_nothing_is_written(
    server: Server, served: str, room: Classroom, monkeypatch: pytest.MonkeyPatch, *, keyed: bool
) -> None:
    monkeypatch.setenv("SWITCHBOARD_WRITE_TIMEOUT_SECONDS", "3")
    texts: list[str] = []
    serves(room, texts)
    environment.reset()
    with locked(server, served, room):
        answers = at_once(6, lambda number: store(room, str(number), str(number) if keyed else None).refusal)
        assert set(answers) == {BUSY}
        assert room.ask("end").refusal == BUSY
        assert refusals(READS, room) == set()
        assert health() == (200, "connected")
    time.sleep(0.2)  # a write that was not cancelled would be committed now
    serves(room, texts)


def test_a_caller_that_gave_up_leads_nobody(
    server: Server, served: str, administrator: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its write is undone with the batch that it was in, after it was told that it may stand."""
    monkeypatch.setenv("SWITCHBOARD_WRITE_TIMEOUT_SECONDS", "1")
    monkeypatch.setenv("SWITCHBOARD_BUSY_TIMEOUT_MS", "3000")
    first, *rooms = [open_classroom() for _ in range(4)]
    for room in rooms:
        room.ask("validate", user_id="ann", role="student")
    environment.reset()
    serves(first, [])
    texts = first.texts()
    with ThreadPoolExecutor() as threads, locked(server, served, *rooms), locked(server, served, first) as lead:
        said = [threads.submit(store, first, "leads")]
        blocked(administrator)
        said += [threads.submit(store, room, "gives up") for room in rooms]
        until(lambda: environment.current().database.writer_stats()["queued"] == 3)
        lead.execute("COMMIT")
        assert {future.result().refusal for future in said[1:]} <= {BUSY, (503, "database_timeout")}
        assert said[0].result().status == 201
        assert first.store(content={"text": "goes on"}).status == 201
    assert [room.texts() for room in rooms] == [[]] * 3
    serves(first, [*texts, "leads", "goes on"])
    assert contradictions(administrator) == []


def test_a_table_that_somebody_locked_is_told_to_readers_in_time(
    administrator: psycopg.Connection, room: Classroom
) -> None:
    texts: list[str] = []
    serves(room, texts)
    administrator.execute("BEGIN")
    administrator.execute("LOCK TABLE messages")
    answer = room.ask("history")  # the table stays locked until it is answered
    assert answer.refusal in {BUSY, (503, "database_unavailable")}
    assert room.ask("get").status == 200
    administrator.execute("COMMIT")
    serves(room, texts)


# --- how many there are, and whose


def test_a_container_that_serves_one_call_after_the_other_has_one_connection(
    administrator: psycopg.Connection, room: Classroom
) -> None:
    texts: list[str] = []
    for _ in range(5):
        serves(room, texts)
        assert store(room, "keyed", f"key {len(texts)}").status == 201
        texts.append("keyed")
        room.ask("list")
        settled(administrator)


def test_many_callers_at_once_have_a_few_connections(administrator: psycopg.Connection, room: Classroom) -> None:
    most = 0

    def work(number: int) -> None:
        nonlocal most
        for turn in range(5):
            room.say(f"{number} {turn}")
            room.ask("get")
            room.ask("history")
            if number == 0:
                most = max(most, len(backends(administrator)))

    at_once(40, work)
    assert 1 <= most <= 8
    assert len(room.texts()) == 200
    assert contradictions(administrator) == []


def test_a_forked_child_opens_its_own_connection_and_leaves_its_parents_alone(
    administrator: psycopg.Connection, room: Classroom
) -> None:
    texts: list[str] = []
    serves(room, texts)
    inherited = environment.current().database
    before = settled(administrator)

    def live(report: Report) -> None:
        with pytest.raises(errors.DatabaseClosedError):
            inherited.get_status(room.id)
        with pytest.raises(errors.DatabaseClosedError):
            inherited.update_session(room.id)
        inherited.close()
        room.say("child")
        report(backends_of(room))
        environment.reset()

    with Child(live) as child:
        assert set(child.report()).isdisjoint(before)
        texts.append("child")
        serves(room, texts)
    assert settled(administrator) == before
    serves(room, texts)
    assert settled(administrator) == before


def backends_of(room: Classroom) -> list[int]:
    """The server's processes for this process's connections."""
    connections = environment.current().database._engine._connections._idle  # type: ignore[attr-defined]
    return [connection.info.backend_pid for connection in connections]


def test_forks_amid_writes(administrator: psycopg.Connection, room: Classroom) -> None:
    environment.reset()

    def work() -> list[list[Any]]:
        with Load(room, processes=1, threads=4) as load:
            for number in range(6):
                load.wait_for_more(1)
                assert apart(lambda number=number: room.say(f"child {number}")["id"])  # type: ignore[misc]
        return load.facts

    facts = apart(work)
    assert refusals_of(facts) == set()
    assert [text for text in room.texts() if text.startswith("child")] == [f"child {number}" for number in range(6)]
    check(facts, administrator)


def test_a_forked_child_holds_no_lock_of_a_parent_that_died(
    server: Server, served: str, administrator: psycopg.Connection, room: Classroom
) -> None:
    """The parent dies in its transaction; the child, which lives on, must not keep the connection open."""
    serves(room, [])
    texts = room.texts()
    environment.reset()

    def parent(report: Report) -> None:
        engine = environment.current().database._engine
        connection = engine.begin(time.monotonic() + TIMEOUT)
        connection.execute(
            "UPDATE session_heads SET sequence = sequence + 1 WHERE session_id = %s RETURNING 1", (room.id,)
        ).fetchall()
        with Child(lambda _: time.sleep(TIMEOUT)) as child:
            report(child.pid)
            time.sleep(TIMEOUT)

    child = None
    try:
        with Child(parent) as process:
            child = process.report()
            assert backends(administrator, "state = 'idle in transaction'")
        until(lambda: not backends(administrator, "state = 'idle in transaction'"))
        serves(room, texts)
    finally:
        if child is not None:
            os.kill(child, 9)


# --- networks


@pytest.fixture
def proxy(server: Server, served: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The service's way to the server."""
    with Proxy(server.port) as proxy:
        address = server.address(served).replace(str(server.port), str(proxy.port))
        monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", address)
        environment.reset()
        yield proxy
        environment.reset()


@pytest.mark.parametrize("keyed", [False, True], ids=["single", "keyed"])
@pytest.mark.parametrize("function", ["create", "store", "end"])
def test_a_write_whose_answer_is_lost_is_found_by_its_repeat(
    proxy: Proxy, administrator: psycopg.Connection, function: str, *, keyed: bool
) -> None:
    room = open_classroom()
    serves(room, [])
    texts = room.texts()
    headers = {"Idempotency-Key": "lost"} if keyed else {}
    proxy.lose_answers()
    if function == "create":
        answer = call("create", body=session_body(name="lost"), headers=headers)
        assert answer.status == 201
        assert call("get", answer.body["session"]["id"]).body["session"] == answer.body["session"]
    elif function == "store":
        assert store(room, "lost", headers.get("Idempotency-Key")).status == 201
        texts.append("lost")
    else:
        assert call("end", room.id).status == 200
    assert environment.current().database.writer_stats()["retries"] == 1
    assert room.texts() == texts
    assert administrator.execute("SELECT count(*) FROM sessions WHERE name = 'lost'").fetchall() == [
        (int(function == "create"),)
    ]
    assert contradictions(administrator) == []


def test_a_batch_whose_answer_is_lost_is_found_after_an_outage(
    server: Server, served: str, proxy: Proxy, administrator: psycopg.Connection
) -> None:
    """That it may stand is remembered while no connection can be had."""
    first, *rooms = [open_classroom() for _ in range(4)]
    serves(first, [])
    stats = environment.current().database.writer_stats
    with (
        ThreadPoolExecutor() as threads,
        locked(server, served, rooms[0]) as second,
        locked(server, served, first) as lead,
    ):
        said = [threads.submit(store, first, "leads")]
        blocked(administrator)
        said += [threads.submit(call, "end", room.id) for room in rooms]
        until(lambda: stats()["queued"] == 3)
        lead.execute("COMMIT")
        assert said[0].result().status == 201
        blocked(administrator)
        proxy.refuse()
        proxy.lose_answers()
        second.execute("COMMIT")
        until(lambda: stats()["retries"] >= 3)  # nobody gets a connection
        proxy.refuse(refused=False)
        assert [future.result().status for future in said] == [201, 200, 200, 200]
    assert contradictions(administrator) == []


def test_callers_do_not_wait_for_a_connection_one_after_the_other(
    server: Server, administrator: psycopg.Connection, room: Classroom
) -> None:
    """What one finds out is told to all: a server that does not answer at all costs a time-out, and not one each."""
    serves(room, [])
    texts = room.texts()
    terminate(administrator)
    server.freeze()
    try:
        with ThreadPoolExecutor() as threads:
            said = [threads.submit(store, room, str(number)) for number in range(8)]
            until(lambda: environment.current().database.writer_stats()["retries"] >= 8)
            server.thaw()
            assert [future.result().status for future in said] == [201] * 8
    finally:
        server.thaw()
    assert sorted(room.texts()) == sorted([*texts, *map(str, range(8))])


def test_a_cut_that_nobody_tells_of_is_noticed_and_costs_a_write_no_error(
    proxy: Proxy, administrator: psycopg.Connection
) -> None:
    room = open_classroom()
    texts: list[str] = []
    serves(room, texts)
    proxy.lose_everything()
    started = time.monotonic()
    serves_after_a_write(room, texts)
    assert time.monotonic() - started < SOON
    proxy.lose_everything()
    assert room.ask("get").refusal == (503, "database_unavailable")  # its patience is too short for another attempt
    serves(room, texts)
    proxy.drop()
    serves(room, texts)
    assert contradictions(administrator) == []


def serves_after_a_write(room: Classroom, texts: list[str]) -> None:
    """As `serves`, with a write first."""
    texts.append("first")
    room.say("first")
    serves(room, texts)


def test_after_a_long_freeze_a_connection_is_asked_whether_it_still_is_one(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever forgets idle connections on the way does so without a word."""
    room = open_classroom()
    texts: list[str] = []
    serves(room, texts)
    monkeypatch.setattr(postgresql_connections, "_PROBE_AFTER", 0.0)
    monkeypatch.setenv("SWITCHBOARD_BUSY_TIMEOUT_MS", "3000")
    environment.reset()
    serves(room, texts)
    proxy.lose_everything()
    assert refusals(READS, room) == set()
    proxy.lose_everything()
    serves_after_a_write(room, texts)
    assert environment.current().database.writer_stats()["retries"] == 0


def test_the_password_is_in_no_log(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    room = open_classroom()
    proxy.lose_everything()
    room.ask("get")
    proxy.drop()
    serves(room, [])
    assert PASSWORD not in caplog.text
    assert "chalk" not in caplog.text
