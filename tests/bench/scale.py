"""Scale: what a hundred times the sessions and messages do to a call on PostgreSQL, and how many clients it takes."""

import multiprocessing
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import msgspec
import psycopg

from shared import clock
from shared.database import DatabaseManager
from shared.entities import ACTIVE, MessageDraft, Session, SessionFilter
from shared.identifiers import new_id
from shared.sessions import SessionManager
from tests.bench.databases import CONTENT, CONTEXT, TYPE
from tests.bench.harness import Call, Effort, Sample, crowd, latency_figures, median, time_each
from tests.bench.report import Row, Section, Table
from tests.bench.servers import count as count_rows
from tests.bench.servers import open_service, server

ROUND_TRIP = "SELECT 1: a round trip"

_GROUP = 100  # sessions of an instructor, and of a student
_ACTIVE_OF = 10  # one of so many sessions is active
_AT_ONCE = 300  # sessions that are going on at the same time
_ASKED_FOR = 500  # sessions or histories, at random
_LONG = 20  # a measurement of long calls has so many times fewer of them

# Ids that grow with time, as version 7 does, and that the measurements know without reading them.
_ID = "(lpad(to_hex(1767600000000 + n * 1000), 12, '0') || '7000a000' || lpad(to_hex(n), 12, '0'))::uuid"
_START = "to_timestamp(1767600000 + n)"

_SESSIONS = f"""
INSERT INTO sessions SELECT {_ID}, 'Lesson ' || n, 'instructor_' || mod(n, %(groups)s), {_START},
  CASE WHEN mod(n, {_ACTIVE_OF}) = 0 THEN NULL ELSE {_START} + interval '45 minutes' END,
  CASE WHEN mod(n, {_ACTIVE_OF}) = 0 THEN 'active' ELSE 'ended' END,
  json_build_array('a' || mod(n, %(groups)s), 'b' || mod(n, 1000), 'c' || mod(n, 1000))::text
FROM generate_series(%(first)s::bigint, %(sessions)s - 1) n
"""
_ENROLLMENTS = """
INSERT INTO enrollments SELECT student, start_time, id
FROM sessions, json_array_elements_text(student_ids::json) student
WHERE start_time >= to_timestamp(1767600000 + %(first)s) AND start_time < to_timestamp(1767600000 + %(sessions)s)
"""
# As they come: of the sessions that are going on at once, each has its first message before one has its second.
_MESSAGES = f"""
INSERT INTO messages SELECT {_ID}, m,
  (lpad(to_hex(1767600000000 + n * 1000 + m), 12, '0') || '7001a000' || lpad(to_hex(n * 4096 + m), 12, '0'))::uuid,
  '{TYPE}', '{CONTEXT}', 'a1', NULL, {_START} + m * interval '1 second', %(content)s
FROM generate_series(%(first)s::bigint, %(histories)s - 1, {_AT_ONCE}) began CROSS JOIN LATERAL (
  SELECT m, n FROM generate_series(1, %(page)s) m
  CROSS JOIN LATERAL generate_series(began + 0 * m, least(began + {_AT_ONCE}, %(histories)s) - 1) n OFFSET 0
) written
"""


def run(effort: Effort, folder: Path) -> Section:
    """Grow one database: sessions first, then messages, then clients."""
    with server() as started, started.connect() as administrator, ExitStack() as stack:
        database = stack.enter_context(closing(open_service(started.url())))
        by_sessions = {
            size: _by_sessions(administrator, database, first, size, effort)
            for first, size in _steps(effort.scale_sessions)
        }
        by_messages = {
            size: _by_messages(administrator, database, first, size, effort)
            for first, size in _steps(effort.scale_messages)
        }
        tables = [_table("sessions", by_sessions), _table("messages", by_messages)]
        tables.append(_clients(started.url(), effort))
        sizes = list(_sizes(administrator))
    notes = [
        f"PostgreSQL runs on the callers' machine; one session of {_ACTIVE_OF} is active;"
        f" {_ASKED_FOR} sessions or histories are asked for, at random",
        f"{_AT_ONCE} sessions at a time get their messages in turn, so a history's rows lie far apart on the disk",
        "each column is measured right after its rows were made, so compare with the round trip of the same column",
        *sizes,
    ]
    return Section("scale", tables, [], notes)


def _steps(sizes: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    return zip((0, *sizes), sizes, strict=False)


def session_id(number: int) -> str:
    """The id of a session that was made by number."""
    return (
        f"{1767600000000 + number * 1000:012x}"[:8]
        + "-"
        + (f"{1767600000000 + number * 1000:012x}"[8:] + "-7000-a000-" + f"{number:012x}")
    )


def _by_sessions(
    administrator: psycopg.Connection, database: DatabaseManager, first: int, sessions: int, effort: Effort
) -> Row:
    groups = sessions // _GROUP + 1
    values = {"first": first, "sessions": sessions, "groups": groups}
    administrator.execute(_SESSIONS, values)
    administrator.execute(_ENROLLMENTS, values)
    count_rows(administrator)
    asked = cycle([_ACTIVE_OF * Random(number).randrange(sessions // _ACTIVE_OF) for number in range(_ASKED_FOR)])
    roster = tuple(f"student_{place}" for place in range(30))
    warm = SessionManager(database)
    known = [session_id(next(asked)) for _ in range(50)]
    following = cycle(known)
    for key in known:
        warm.get_session(key)
    numbers = cycle(range(_ASKED_FOR))

    def page(**wanted: str) -> Call:
        return lambda: database.list_sessions(SessionFilter(**wanted), None, 100)

    calls: dict[str, tuple[Call, int]] = {
        ROUND_TRIP: (lambda: database._engine.fetch("SELECT 1"), 1),
        "validate, warm": (lambda: warm.validate_session_membership(next(following), "nobody", "instructor"), 1),
        "session by its id, cold": (lambda: database.get_session(session_id(next(asked))), 1),
        "list, newest active": (page(status=ACTIVE), _LONG),
        "list, of an instructor": (
            lambda: page(status=ACTIVE, created_by=f"instructor_{next(numbers) % groups}")(),
            _LONG,
        ),
        "list, of a student": (lambda: page(status=ACTIVE, student_id=f"a{next(numbers) % groups}")(), _LONG),
        "create, 30 students": (
            lambda: database.create_session(Session(new_id(), "Algebra", "ms_noether", roster, clock.now())),
            2,
        ),
    }
    return _measured(calls, effort)


def _by_messages(
    administrator: psycopg.Connection, database: DatabaseManager, first: int, messages: int, effort: Effort
) -> Row:
    page = effort.page
    values = {"first": first // page, "histories": messages // page, "page": page, "content": CONTENT}
    administrator.execute(_MESSAGES, values)
    administrator.execute("DELETE FROM session_heads")
    count_rows(administrator)
    histories = [Random(number).randrange(messages // page) for number in range(_ASKED_FOR)]
    asked, active = cycle(histories), cycle([number - number % _ACTIVE_OF for number in histories])
    content = msgspec.Raw(CONTENT.encode())
    calls: dict[str, tuple[Call, int]] = {
        ROUND_TRIP: (lambda: database._engine.fetch("SELECT 1"), 1),
        "store": (
            lambda: database.store_message(MessageDraft(session_id(next(active)), TYPE, CONTEXT, "a1", None, content)),
            2,
        ),
        f"history, first {page} messages": (
            lambda: database.get_session_history(session_id(next(asked)), limit=page),
            _LONG,
        ),
        "history, the last 10": (
            lambda: database.get_session_history(session_id(next(asked)), after=page - 10, limit=10),
            1,
        ),
    }
    return _measured(calls, effort)


def _measured(calls: dict[str, tuple[Call, int]], effort: Effort) -> Row:
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(effort.warm_up + effort.rounds):
        for name, (call, share) in calls.items():
            found[name].append(time_each(call, max(1, effort.calls // share)))
    return {name: 1e6 * median(times[effort.warm_up :]) for name, times in found.items()}


def _table(what: str, measured: dict[int, Row]) -> Table:
    sizes = list(measured)
    rows: list[Row] = []
    for name in measured[sizes[0]]:
        row: Row = {"call": name} | {f"{size:,}, us": measured[size][name] for size in sizes}
        row["most / fewest"] = measured[sizes[-1]][name] / measured[sizes[0]][name]
        rows.append(row)
    return Table(f"with more {what}", rows)


def _sizes(administrator: psycopg.Connection) -> Iterator[str]:
    for table in ("sessions", "enrollments", "messages", "session_heads"):
        ((heap, whole, rows),) = administrator.execute(
            "SELECT pg_table_size(%s), pg_total_relation_size(%s),"
            " greatest(1, (SELECT reltuples FROM pg_class WHERE oid = %s::regclass))",
            (table, table, table),
        ).fetchall()
        yield f"{table}: {heap / rows:.0f} bytes a row, {whole / rows:.0f} with its indexes, {rows:,.0f} rows"


# --- clients


def _clients(url: str, effort: Effort) -> Table:
    rows: list[Row] = []
    with ExitStack() as stack:
        fleet = [stack.enter_context(closing(_Client(url, number))) for number in range(effort.clients[-1])]
        for clients in effort.clients:
            row: Row = {"client processes": clients}
            for what in ("store", "validate"):
                rounds = [_at_once(fleet[:clients], what, effort.seconds) for _ in range(effort.rounds)]
                row[f"{what}/s"] = median([sample.rate for sample in rounds])
                figures = latency_figures(rounds)
                row |= {f"{what} {name}": figures[name] for name in ("p50 ms", "p99 ms")}
                row[f"{what} failed"] = sum(sample.failures.total() for sample in rounds)
            rows.append(row)
    return Table("clients, each a process with one connection and one call at a time", rows)


def _at_once(fleet: "list[_Client]", what: str, seconds: float) -> Sample:
    start = time.perf_counter() + 0.05
    for client in fleet:
        client.pipe.send((what, start, seconds))
    whole = Sample()
    for client in fleet:
        rate, latencies, failed = client.pipe.recv()
        sample = Sample(rate, array("d"), Counter(failed))
        sample.latencies.frombytes(latencies)
        whole.add(sample)
    return whole


class _Client:
    """A process that stays for the whole section."""

    def __init__(self, url: str, number: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, url, number), daemon=True)
        self._process.start()
        there.close()
        assert self.pipe.recv() == "ready"

    def close(self) -> None:
        """Let it end: it reads the end of the pipe."""
        self.pipe.close()
        self._process.join(10)


def _serve(pipe: Connection, url: str, number: int) -> None:
    with closing(open_service(url)) as database:
        sessions = SessionManager(database)
        session = sessions.create_session("Algebra", "ms_noether", ["ann"])
        draft = MessageDraft(session.id, TYPE, CONTEXT, "ann", None, msgspec.Raw(CONTENT.encode()))
        calls: dict[str, Callable[[], object]] = {
            "store": lambda: database.store_message(draft),
            "validate": partial(sessions.validate_session_membership, session.id, "ann", "student"),
        }
        pipe.send("ready")
        while True:
            try:
                what, start, seconds = pipe.recv()
            except EOFError:
                return
            sample = crowd([calls[what]], seconds, start)
            pipe.send((sample.rate, sample.latencies.tobytes(), dict(sample.failures)))
