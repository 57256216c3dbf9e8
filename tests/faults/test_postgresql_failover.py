"""A primary that dies or steps back, and a synchronous standby that takes over: two servers, one URL with both."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from shared import environment
from tests.conftest import Classroom, at_once, call, message_body, open_classroom
from tests.faults.load import DOWN, Load, check, contradictions
from tests.faults.observing import serves
from tests.faults.processes import TIMEOUT, Child, Report
from tests.postgres.server import USER, Server

DATABASE = "postgres"
WRITE_TIMEOUT = 5.0  # seconds that a caller waits, a fail-over included


class Pair(NamedTuple):
    """Two servers: what one acknowledged, the other has."""

    primary: Server
    standby: Server

    def url(self) -> str:
        """Both, in an order that puts the dead one first."""
        hosts, ports = zip(*((str(server.folder), str(server.port)) for server in self), strict=True)
        return f"postgresql://{USER}@/{DATABASE}?host={','.join(hosts)}&port={','.join(ports)}"

    def fail_over(self) -> None:
        """The primary's machine is gone, and the standby becomes the primary."""
        self.primary.kill()
        self.standby.promote()

    def alter_primary(self, setting: str) -> None:
        """Change a setting of the primary while it runs."""
        with self.primary.connect() as administrator:
            administrator.execute(f"ALTER SYSTEM SET {setting}")
            administrator.execute("SELECT pg_reload_conf()")


@pytest.fixture
def pair(short_times: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """The standby waits for no other one when it has taken over."""
    with Server() as primary, Server(standby_of=primary) as standby:
        pair = Pair(primary, standby)
        pair.alter_primary("synchronous_standby_names = '*'")
        with primary.connect() as administrator:
            asked = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
            deadline = time.monotonic() + TIMEOUT
            while administrator.execute(asked).fetchall() != [(1,)]:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", pair.url())
        monkeypatch.setenv("SWITCHBOARD_WRITE_TIMEOUT_SECONDS", str(WRITE_TIMEOUT))
        environment.reset()
        yield pair
        environment.reset()


def test_a_fail_over_under_load_loses_no_acknowledged_write(pair: Pair) -> None:
    room = open_classroom()
    environment.reset()
    with Load(room, processes=3) as load:
        load.wait_for_more(5)
        pair.fail_over()
        assert load.wait_for_more() < WRITE_TIMEOUT
    with pair.standby.connect() as administrator:
        check(load.facts, administrator)
    environment.reset()
    serves(room, room.texts())


def test_a_fail_over_is_waited_for_by_a_write_that_meets_it(pair: Pair) -> None:
    room = open_classroom()
    serves(room, [])
    texts = room.texts()
    with ThreadPoolExecutor() as threads:
        pair.primary.kill()
        said = threads.submit(room.say, "during")
        created = threads.submit(open_classroom)
        time.sleep(0.5)
        pair.standby.promote()
        said.result()
        assert created.result().ask("get").status == 200
    serves(room, [*texts, "during"])


def test_an_idle_container_finds_the_new_primary(pair: Pair) -> None:
    room = open_classroom()
    texts: list[str] = []
    serves(room, texts)
    pair.fail_over()
    serves(room, texts)
    assert environment.current().database.writer_stats()["retries"] == 0


def test_of_ends_that_meet_a_fail_over_one_wins(pair: Pair) -> None:
    """And who was told that a session has ended never sees it active again."""
    rooms = [open_classroom().id for _ in range(60)]
    environment.reset()

    def end(report: Report) -> None:
        for number, room in enumerate(rooms):
            answer = call("end", room)
            end_time = answer.body.get("end_time") or answer.body.get("session", {}).get("end_time")
            joined = call("validate", room, query={"user_id": "ann", "role": "student"})
            report([room, answer.status, answer.body.get("code"), end_time, joined.status])
            if number > 10:
                time.sleep(0.01)

    with Child(end) as one, Child(end) as other:
        told = [child.report() for child in (one, other) for _ in range(20)]
        pair.fail_over()
        told += [child.report() for child in (one, other) for _ in range(40)]
    stands = {room: call("get", room).body["session"]["end_time"] for room in rooms}
    for room in rooms:
        answers = [fact[1:] for fact in told if fact[0] == room]
        assert [status for status, *_ in answers].count(200) <= 1
        for status, code, end_time, joined in answers:
            assert status in (200, 409) or (status, code) in DOWN
            if status in (200, 409):
                assert end_time == stands[room]
                assert joined in (410, 503)
    assert any(status == 409 for _, status, *_ in told)
    assert contradictions_of(pair) == []


def contradictions_of(pair: Pair) -> list[object]:
    """What the new primary's tables say against each other."""
    with pair.standby.connect() as administrator:
        return contradictions(administrator)


def test_what_no_standby_has_is_not_acknowledged(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even to the repeat that finds it on the primary, where ending its connection had it stand."""
    monkeypatch.setenv("SWITCHBOARD_WRITE_TIMEOUT_SECONDS", "1.5")
    environment.reset()
    room = open_classroom()
    serves(room, [])
    texts = room.texts()
    pair.standby.freeze()
    with ThreadPoolExecutor() as threads:
        first = threads.submit(store, room, "unsafe", "a key")
        with pair.primary.connect() as administrator:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            while not administrator.execute(ended).fetchall():
                time.sleep(0.01)
        assert first.result() == (503, "database_timeout")
    assert store(room, "unsafe", "a key") == (503, "database_timeout")
    pair.primary.kill()
    pair.standby.thaw()
    pair.standby.promote()
    assert room.texts() in (texts, [*texts, "unsafe"])
    assert store(room, "unsafe", "a key") == (201, None)
    assert room.texts() == [*texts, "unsafe"]
    serves(room, room.texts())


def test_a_standby_that_is_away_stops_writes_until_it_is_back(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_WRITE_TIMEOUT_SECONDS", "1.5")
    environment.reset()
    room = open_classroom()
    serves(room, [])
    texts = room.texts()
    pair.standby.freeze()
    answers = at_once(4, lambda number: store(room, str(number)))
    assert (503, "database_timeout") in answers
    assert set(answers) <= {(503, "database_timeout"), (503, "database_busy")}
    pair.standby.thaw()
    time.sleep(0.5)
    after = room.texts()
    assert after[: len(texts)] == texts
    assert len(set(after)) == len(after)
    assert {answers[int(text)] for text in after[len(texts) :]} == {(503, "database_timeout")}
    serves(room, after)
    assert contradictions_of(pair) == []


def test_a_primary_that_steps_back_is_left_for_the_new_one(pair: Pair) -> None:
    """It goes on and answers, and refuses writes: the warm connection to it is of no use any more."""
    room = open_classroom()
    texts: list[str] = []
    serves(room, texts)
    pair.alter_primary("default_transaction_read_only = on")
    pair.standby.promote()
    room.say("moved")
    serves(room, [*texts, "moved"])
    with pair.standby.connect() as administrator:
        asked = "SELECT count(*) FROM messages WHERE content LIKE '%moved%'"
        assert administrator.execute(asked).fetchall() == [(1,)]


def store(room: Classroom, text: str, key: str | None = None) -> tuple[int, object]:
    """What a caller is told who says this."""
    headers = {"Idempotency-Key": key} if key else {}
    return call("store", room.id, body=message_body(content={"text": text}), headers=headers).refusal
