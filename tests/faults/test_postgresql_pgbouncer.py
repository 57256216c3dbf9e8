"""Behind a real PgBouncer in transaction mode: every statement may run on another server connection."""

import time
from collections.abc import Iterator

import pytest

from shared import environment
from tests.conftest import Classroom, at_once, call, message_body, open_classroom
from tests.faults.load import Load, check, contradictions, refusals_of
from tests.faults.observing import READS, health, refusals, serves
from tests.faults.processes import Child, Report
from tests.postgres.pgbouncer import PROGRAM, PgBouncer
from tests.postgres.server import Server

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed")

SIZE = 2  # server connections


@pytest.fixture
def pooler(server: Server, served: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PgBouncer]:
    """The service's way to the server."""
    with PgBouncer(server, size=SIZE) as pooler:
        monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", pooler.url(served))
        monkeypatch.setenv("SWITCHBOARD_BUSY_TIMEOUT_MS", "3000")
        environment.reset()
        yield pooler
        environment.reset()


def test_everything_is_served(pooler: PgBouncer) -> None:
    room = open_classroom()
    texts: list[str] = []
    for _ in range(5):  # often enough for what a driver would prepare
        serves(room, texts)
        assert store(room, "keyed", f"key {len(texts)}") == (201, None)
        assert store(room, "keyed", f"key {len(texts)}") == (201, None)
        texts.append("keyed")
    assert room.ask("end").status == 200
    assert refusals(READS, room) == {(410, "session_ended")}


def test_many_containers_share_few_server_connections(server: Server, served: str, pooler: PgBouncer) -> None:
    """Nobody's statement runs as somebody else's, whoever had the connection before."""
    room = open_classroom()
    environment.reset()
    with Load(room, processes=6, threads=2) as load:
        for _ in range(10):
            load.wait_for_more()
        with server.connect() as administrator:
            connected = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
            assert administrator.execute(connected, (served,)).fetchall() == [(SIZE,)]
    assert refusals_of(load.facts) == set()
    with server.connect(served) as administrator:
        assert administrator.execute("SELECT count(*) FROM pg_prepared_statements").fetchall() == [(0,)]
        check(load.facts, administrator)
    assert "prepared statement" not in server.log()
    serves(room, room.texts())


def test_readers_of_many_containers_see_their_own_answers(pooler: PgBouncer) -> None:
    rooms = [open_classroom(name=f"room {number}") for number in range(4)]
    for number, room in enumerate(rooms):
        for _ in range(300):  # more than what is fetched at a time
            room.say(f"said in {number}")
    environment.reset()

    def read(report: Report) -> None:
        def work(number: int) -> bool:
            room, right = rooms[number % 4], f"said in {number % 4}"
            return all(
                room.ask("get").body["session"]["name"] == f"room {number % 4}"
                and room.ask("validate", user_id="ann", role="student").status == 200
                and set(room.texts(limit=200)) == {right}
                and call("list", query={"limit": 2}).body["total_count"] == 4
                for _ in range(3)
            )

        report(at_once(8, work))

    with Child(read) as one, Child(read) as other:
        assert one.report() == other.report() == [True] * 8
    assert health() == (200, "connected")


def test_a_pooler_that_is_restarted_under_load(server: Server, served: str, pooler: PgBouncer) -> None:
    room = open_classroom()
    environment.reset()
    with Load(room, processes=3) as load:
        for away in (0.0, 0.5):
            load.wait_for_more()
            pooler.stop()
            time.sleep(away)
            pooler.start()
            load.wait_for_more()
    with server.connect(served) as administrator:
        check(load.facts, administrator)
    environment.reset()
    serves(room, room.texts())


def test_a_server_that_is_restarted_behind_its_pooler(server: Server, served: str, pooler: PgBouncer) -> None:
    room = open_classroom()
    environment.reset()
    with Load(room, processes=3) as load:
        load.wait_for_more()
        server.kill()
        server.start()
        load.wait_for_more()
    with server.connect(served) as administrator:
        check(load.facts, administrator)
    serves(room, room.texts())


def test_one_key_used_by_fifty_calls_at_once_is_one_write(pooler: PgBouncer) -> None:
    room = open_classroom()
    environment.reset()

    def work(report: Report) -> None:
        environment.current()
        answers = at_once(
            10,
            lambda _: call("store", room.id, body=message_body(), headers={"Idempotency-Key": "one"}).text,
        )
        report(sorted(set(answers)))

    with Child(work) as a, Child(work) as b, Child(work) as c, Child(work) as d, Child(work) as e:
        answers = [child.report() for child in (a, b, c, d, e)]
    assert answers == [answers[0]] * 5
    assert len(answers[0]) == len(room.texts()) == 1


def test_containers_that_are_killed_give_their_server_connections_back(
    server: Server, served: str, pooler: PgBouncer
) -> None:
    """They die in their transactions, and had all that there are."""
    room, other = open_classroom(), open_classroom()
    environment.reset()

    def live(report: Report, room: Classroom) -> None:
        engine = environment.current().database._engine
        connection = engine.begin(time.monotonic() + 60)
        lock = "SELECT 1 FROM session_heads WHERE session_id = %s FOR UPDATE"
        connection.execute(lock, (room.id,)).fetchall()
        report("holds it")
        time.sleep(60)

    with Child(lambda report: live(report, room)) as one, Child(lambda report: live(report, other)) as two:
        assert one.report() == two.report() == "holds it"
    serves(room, [])
    serves(other, [])
    with server.connect(served) as administrator:
        assert contradictions(administrator) == []


def store(room: Classroom, text: str, key: str) -> tuple[int, object]:
    """What a caller is told who says this."""
    return call("store", room.id, body=message_body(content={"text": text}), headers={"Idempotency-Key": key}).refusal
