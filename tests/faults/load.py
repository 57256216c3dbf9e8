"""Callers in several processes that keep calling while the database is unavailable, and checks of their answers.

Each call records a fact. What was answered with success must be in the database exactly once, and what failed must not
be there. Only after `database_timeout` both are correct.
"""

import itertools
import mmap
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg

from tests.conftest import Answer, Classroom, call, message_body, session_body
from tests.faults.processes import TIMEOUT, Child, Report

DOWN = {(503, f"database_{how}") for how in ("unavailable", "busy", "timeout", "read_only")}
"""The errors that a call may get while the database is unavailable."""

_UNKNOWN = "database_timeout"
_COUNTER = struct.Struct("q")

Facts = list[list[Any]]


class Load:
    """Processes, including this one, whose threads create, store, end and validate until the `with` block ends."""

    def __init__(self, common: Classroom, *, processes: int = 2, threads: int = 3) -> None:
        self._common = common
        self._threads = threads
        self._seats = processes * threads
        self._shared = mmap.mmap(-1, _COUNTER.size * (self._seats + 1))  # counters, then a flag to stop
        self._own = processes - 1
        self._stack = ExitStack()
        self._facts: Facts = []
        self.facts: Facts = []
        """The facts of all processes, complete after the `with` block."""

    def __enter__(self) -> "Load":
        with ExitStack() as stack:
            self._children = [stack.enter_context(Child(self._child(number))) for number in range(self._own)]
            self._running = self._start(self._own, self._facts)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        _COUNTER.pack_into(self._shared, _COUNTER.size * self._seats, 1)
        with self._stack:
            for thread in self._running:
                thread.join(TIMEOUT)
                assert not thread.is_alive(), "a caller hangs"
            if kind is None:
                reported = [child.report() for child in self._children]
                self.facts = [*self._facts, *itertools.chain.from_iterable(reported)]

    def wait_for_more(self, each: int = 2) -> float:
        """Wait until each thread has had `each` more writes acknowledged. Return how many seconds it took."""
        started = time.monotonic()
        before = self._acknowledged()
        while any(now < then + each for now, then in zip(self._acknowledged(), before, strict=True)):
            assert time.monotonic() < started + TIMEOUT, "the service did not come back"
            time.sleep(0.005)
        return time.monotonic() - started

    def _acknowledged(self) -> list[int]:
        return [_COUNTER.unpack_from(self._shared, _COUNTER.size * seat)[0] for seat in range(self._seats)]

    def _child(self, process: int) -> Any:
        def live(report: Report) -> None:
            facts: Facts = []
            for thread in self._start(process, facts):
                thread.join()
            report(facts)

        return live

    def _start(self, process: int, facts: Facts) -> list[threading.Thread]:
        seats = range(process * self._threads, (process + 1) * self._threads)
        threads = [threading.Thread(target=self._go_on, args=(seat, facts), daemon=True) for seat in seats]
        for thread in threads:
            thread.start()
        return threads

    def _go_on(self, seat: int, facts: Facts) -> None:
        acknowledged = 0
        for fact in (fact for number in itertools.count() for fact in self._lesson(seat, number)):
            facts.append(fact)
            acknowledged += fact[2] in (200, 201)
            _COUNTER.pack_into(self._shared, _COUNTER.size * seat, acknowledged)
            if self._stopped():
                return

    def _stopped(self) -> bool:
        return bool(_COUNTER.unpack_from(self._shared, _COUNTER.size * self._seats)[0])

    def _lesson(self, seat: int, number: int) -> Iterator[list[Any]]:
        """Calls in a new session and in the common one; every second time with keys and repeated after failures."""
        keyed = number % 2 == 1
        name = f"{seat} {number}"
        created = self._call("create", None, session_body(name=name, student_ids=["ann", f"s{seat}"]), keyed)
        yield self._fact("create", name, created)
        rooms = [self._common.id] + ([created.body["session"]["id"]] if created.status == 201 else [])
        for text, room in itertools.product((f"{name} a", f"{name} b"), rooms):
            said = self._call("store", room, message_body(content={"text": text}), keyed)
            yield self._fact("store", f"{room} {text}", said)
        for room in rooms[1:]:
            ended = call("end", room)
            yield self._fact("end", room, ended)
            if ended.status in (200, 409):
                joined = call("validate", room, query={"user_id": "ann", "role": "student"})
                yield ["validate", room, *joined.refusal, None]

    def _call(self, function: str, room: str | None, body: Any, keyed: bool) -> Answer:
        if not keyed:
            return call(function, room, body=body)
        key = f"{function} {room} {body.get('name') or body['content']}"
        unknown = None
        while (answer := call(function, room, body=body, headers={"Idempotency-Key": key})).status == 503:
            unknown = answer if answer.refusal[1] == _UNKNOWN else unknown
            if self._stopped():
                return unknown or answer
        return answer

    def _fact(self, kind: str, what: str, answer: Answer) -> list[Any]:
        end_time = answer.body.get("end_time") or answer.body.get("session", {}).get("end_time")
        return [kind, what, *answer.refusal, end_time]


def refusals_of(facts: Facts) -> set[tuple[int, str]]:
    """The errors of all calls but `validate`."""
    return {(status, code) for kind, _, status, code, _ in facts if status not in (200, 201) and kind != "validate"}


def check(facts: Facts, administrator: psycopg.Connection) -> None:
    """Compare the answers of the callers with the database."""
    allowed = DOWN | {(409, "session_already_ended")}  # by an earlier end whose outcome was unknown
    assert refusals_of(facts) <= allowed
    assert {(s, c) for kind, _, s, c, _ in facts if kind == "validate"} <= DOWN | {(410, "session_ended")}
    assert contradictions(administrator) == []
    _once(facts, "create", administrator.execute("SELECT name FROM sessions").fetchall())
    texts = "SELECT session_id || ' ' || (content::json ->> 'text') FROM messages ORDER BY session_id, sequence"
    stored = administrator.execute(texts).fetchall()
    _once(facts, "store", stored)
    _in_order(facts, [text for (text,) in stored])
    _ended(facts, administrator)


def _once(facts: Facts, kind: str, found: list[tuple[str]]) -> None:
    times = Counter(name for (name,) in found)
    for fact in facts:
        if fact[0] == kind:
            _, what, status, code, _ = fact
            expected = {1} if status == 201 else {0, 1} if code == _UNKNOWN else {0}
            assert times[what] in expected, (fact, times[what])


def _in_order(facts: Facts, stored: list[str]) -> None:
    """The messages of one caller in one session have the order in which the caller sent them."""
    places = {text: place for place, text in enumerate(stored)}
    said: dict[tuple[str, str], list[int]] = {}
    for kind, what, status, _, _ in facts:
        if kind == "store" and status == 201:
            room, seat, _ = what.split(" ", 2)
            said.setdefault((room, seat), []).append(places[what])
    assert said
    for order in said.values():
        assert order == sorted(order)


def _ended(facts: Facts, administrator: psycopg.Connection) -> None:
    moment = "to_char(end_time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    ended: dict[str, str] = dict(
        administrator.execute(f"SELECT id::text, {moment} FROM sessions WHERE status = 'ended'").fetchall()
    )
    for fact in facts:
        if fact[0] == "end":
            _, room, status, code, end_time = fact
            if status in (200, 409):
                assert ended.get(room) == end_time, fact
            elif code != _UNKNOWN:
                assert room not in ended, fact


def contradictions(administrator: psycopg.Connection) -> list[Any]:
    """Rows of tables that contradict each other."""
    return [row for question in _CONTRADICTIONS for row in administrator.execute(question).fetchall()]


_CONTRADICTIONS = (
    "SELECT 'gap', session_id FROM messages GROUP BY session_id HAVING min(sequence) <> 1 OR max(sequence) <> count(*)",
    "SELECT 'head', session_id FROM session_heads h"
    " WHERE sequence <> (SELECT count(*) FROM messages m WHERE m.session_id = h.session_id)",
    "SELECT 'status', id FROM sessions s LEFT JOIN session_heads h ON h.session_id = s.id"
    " WHERE h.status IS DISTINCT FROM s.status",
    "SELECT 'stray', h.session_id FROM session_heads h LEFT JOIN sessions s ON s.id = h.session_id WHERE s.id IS NULL",
    "SELECT 'twice', id FROM messages GROUP BY id HAVING count(*) > 1",
    "SELECT 'time', session_id, sequence FROM (SELECT session_id, sequence, timestamp,"
    " lag(timestamp) OVER (PARTITION BY session_id ORDER BY sequence) AS last FROM messages) m WHERE timestamp < last",
    "SELECT 'counts', active, ended FROM (SELECT sum(active) AS active, sum(ended) AS ended FROM session_counts) c"
    " WHERE active <> (SELECT count(*) FROM sessions WHERE status = 'active')"
    " OR ended <> (SELECT count(*) FROM sessions WHERE status = 'ended')",
    "SELECT 'enrolled', id FROM sessions s WHERE json_array_length(student_ids::json)"
    " <> (SELECT count(*) FROM enrollments e WHERE e.session_id = s.id)",
)
