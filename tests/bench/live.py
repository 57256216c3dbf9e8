"""Live: from the answer to a sender to the frame at connected clients, how many messages fan out, what it all costs.

All clients are coroutines of this process. A frame that comes before the answer to its sender has 0 as its time from
that answer: the peers answer when they have sent all.
"""

import asyncio
import re
import resource
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from shared import clock
from shared.entities import Lease, MessageDraft
from shared.identifiers import new_id
from shared.live.database import LiveDatabase
from shared.live.entities import Connection
from shared.messages import MessageManager
from shared.sessions import SessionManager
from tests.bench import live_peers
from tests.bench.callers import RAW_CONTENT
from tests.bench.databases import CONTEXT, TYPE, Classrooms, classrooms, open_ours, scratch_copy
from tests.bench.emulator import OFFLINE, Kind, Server, free_port, offline_program
from tests.bench.harness import SMALLEST, Effort, interleaved, median, percentile, ratio, time_each
from tests.bench.live_peers import ListRoom, Room, ServiceRoom
from tests.bench.report import Row, Section, Table, Target, at_most
from tests.bench.servers import mirror, open_service

SQLITE, POSTGRESQL = "service on SQLite", "service on PostgreSQL"
BARE, TRIVIAL = "bare websockets server", "function in the emulator"
CLASS = 30
"""Clients of one session."""
IDLE = 1000
"""Connections without messages."""
BEFORE, ALONE, BUSY = "without a delivery", "no connections", f"{CLASS} connections"

_PATIENCE = 120.0  # seconds for a message
_TURN = 20  # stores, before it is another session's turn: the expected differences are small
_ROOT = Path(__file__).parents[2]

Stored = dict[str, list[float]]
"""Which session -> the seconds of a store, in each round."""

OpenRoom = Callable[[Server, int], Awaitable[Room]]


@dataclass(frozen=True)
class Size:
    """How many clients, sessions, idle connections and messages."""

    clients: int = CLASS
    sessions: int = 10
    idle: int = IDLE
    messages: int = 200
    """Sent one after the other, for their waits; a fifth of them by each session in a burst."""


@dataclass(frozen=True)
class Party:
    """Who is measured: its server, its rooms, and whether it can have many of them."""

    kind: Kind
    room: OpenRoom
    many: bool = True


@dataclass(frozen=True)
class Fan:
    """What one party did: seconds to each frame, and messages a second by the number of sessions."""

    after_send: list[float]
    after_answer: list[float]
    rates: dict[int, float]


def run(effort: Effort, folder: Path) -> Section:
    """Frames, stores and memory."""
    folder = folder.resolve()
    size = Size(clients=2, sessions=2, idle=4, messages=5) if effort == SMALLEST else Size()
    size = replace(size, messages=20) if effort.calls <= 300 and effort != SMALLEST else size
    _allow_files(2 * size.idle + 500)
    notes = [
        "clients, server and database share the machine; all clients are coroutines of one process",
        f"'{TRIVIAL}' and {OFFLINE} store nothing: a function posts to a list, to one connection after the other",
        f"stores are calls of MessageManager; '{BEFORE}' asks for no lease, as before there were connections;"
        " with connections somebody delivers all the time, as under load",
    ]
    room = classrooms(folder, effort.sessions[0])
    with ExitStack() as stack:
        server = stack.enter_context(mirror(room))
        copy = stack.enter_context(scratch_copy(room, folder))
        urls = {SQLITE: f"sqlite:///{copy.path}", POSTGRESQL: server.url()}
        parties = _parties(urls, folder, effort, notes)
        fans = {name: _fan(party, size) for name, party in parties.items()}
        stored = {name: _stores(name, urls[name], room, copy.path, effort, size) for name in urls}
        memory = {name: _memory(parties[name], size) for name in (TRIVIAL, BARE)}
    tables = [_fan_table(fans, size), _store_table(stored), _memory_table(memory, size)]
    return Section("live", tables, _targets(stored), notes)


def _parties(urls: dict[str, str], folder: Path, effort: Effort, notes: list[str]) -> dict[str, Party]:
    async def service(server: Server, size: int) -> Room:
        return await ServiceRoom.open(server.base, size)

    async def listed(server: Server, size: int) -> Room:
        return await ListRoom.open(f"{server.base.replace('http', 'ws', 1)}/ws?{new_id()}")

    parties = {name: Party(live_peers.service(_ROOT, url), service) for name, url in urls.items()}
    parties[BARE] = Party(live_peers.bare(folder), listed)
    parties[TRIVIAL] = Party(live_peers.trivial(_ROOT, folder), listed, many=False)
    if effort == SMALLEST:
        return parties
    made = folder / "emulator-service"  # where the section on the emulator has it too
    made.mkdir(exist_ok=True)
    if program := offline_program(made):
        port = free_port()

        async def offline(server: Server, size: int) -> Room:
            return await ListRoom.open(f"ws://127.0.0.1:{port}/")

        kind = live_peers.offline(program, made, port)
        parties[OFFLINE] = Party(kind, offline, many=False)
    else:
        notes.append(f"{OFFLINE} is left out: there is no npm, or it could not be installed")
    return parties


# --- frames


def _fan(party: Party, size: Size) -> Fan:
    """Measure one party on a server of its own."""
    server = Server(party.kind)
    try:
        return asyncio.run(_measure(party, server, size))
    finally:
        server.stop()


async def _measure(party: Party, server: Server, size: Size) -> Fan:
    waits: list[tuple[float, float]] = []
    rates: dict[int, float] = {}
    classes: list[_Class] = []
    for sessions in (1, size.sessions) if party.many else (1,):
        while len(classes) < sessions:
            classes.append(await _Class.open(await party.room(server, size.clients), size.clients))
        if not waits:
            await classes[0].send_each(3)  # everything is warm then
            waits = await classes[0].send_each(size.messages)
        began = time.perf_counter()
        burst = max(2, size.messages // 5)
        await asyncio.gather(*(one.send_at_once(burst) for one in classes))
        rates[sessions] = sessions * burst / (time.perf_counter() - began)
    for one in classes:
        await one.close()
    return Fan([wait[0] for wait in waits], [wait[1] for wait in waits], rates)


class _Class:
    """Clients of one room, and when each of them got each frame."""

    def __init__(self, room: Room, clients: list[ClientConnection]) -> None:
        self._room = room
        self._clients = clients
        self._frames: list[float] = []
        self._wanted = 0
        self._all_there = asyncio.Event()
        self._readers = [asyncio.create_task(self._read(client)) for client in clients]

    @classmethod
    async def open(cls, room: Room, size: int) -> "_Class":
        """Connect the clients."""
        return cls(room, [await room.join(number) for number in range(size)])

    async def send_each(self, messages: int) -> list[tuple[float, float]]:
        """Send each message when everybody has the one before; seconds to each frame, from the send and the answer."""
        waits: list[tuple[float, float]] = []
        for number in range(messages):
            self._begin(1)
            sent = time.perf_counter()
            await self._room.send(f"message {number}")
            answered = time.perf_counter()
            await self._everybody()
            waits += [(at - sent, max(0.0, at - answered)) for at in self._frames]
        return waits

    async def send_at_once(self, messages: int) -> None:
        """Send each message when the one before is answered; return when everybody has all of them."""
        self._begin(messages)
        for number in range(messages):
            await self._room.send(f"message {number}")
        await self._everybody()

    async def _everybody(self) -> None:
        await asyncio.wait_for(self._all_there.wait(), _PATIENCE)

    def _begin(self, messages: int) -> None:
        self._frames = []
        self._wanted = messages * len(self._clients)
        self._all_there.clear()

    async def _read(self, client: ClientConnection) -> None:
        try:
            while True:
                await client.recv()
                self._frames.append(time.perf_counter())
                if len(self._frames) == self._wanted:
                    self._all_there.set()
        except ConnectionClosed:
            return

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(client.close() for client in self._clients), *self._readers)
        await self._room.close()


def _fan_table(fans: dict[str, Fan], size: Size) -> Table:
    rows: list[Row] = []
    for name, fan in fans.items():
        waits = {"send": sorted(fan.after_send), "answer": sorted(fan.after_answer)}
        rows.append(
            {
                "who": name,
                **{
                    f"{since} to frame, p{percent} ms": 1000 * percentile(waits[since], percent)
                    for since in waits
                    for percent in (50, 99)
                },
                "messages/s, 1 session": fan.rates[1],
                f"messages/s, {size.sessions} sessions": fan.rates.get(size.sessions, "-"),
                "frames/s, the most": size.clients * max(fan.rates.values()),
            }
        )
    return Table(f"{size.clients} connected clients of each session", rows)


# --- stores


def _stores(name: str, url: str, room: Classrooms, path: Path, effort: Effort, size: Size) -> Stored:
    """Seconds of a store in a session without a delivery, without connections and with them."""
    database = open_ours(path) if name == SQLITE else open_service(url)
    with closing(database):
        sessions = SessionManager(database)
        live = database.part(LiveDatabase)
        full = room.ids[-1]
        for number in range(size.clients):
            live.connect(Connection(f"L{number}=", full, f"s{number}", "student", clock.now()))

        def store(session_id: str, manager: MessageManager) -> float:
            student = room.students(room.ids.index(session_id))[0]
            draft = MessageDraft(session_id, TYPE, CONTEXT, student, None, RAW_CONTENT)
            return time_each(lambda: manager.store_message(draft, "student"), min(_TURN, effort.calls))

        def hand_over(lease: Lease) -> None:
            """What this costs is the platform's."""

        plain, leasing = MessageManager(database, sessions), MessageManager(database, sessions, hand_over)
        return interleaved(
            replace(effort, rounds=effort.rounds * max(1, effort.calls // _TURN)),
            {
                BEFORE: partial(store, room.ids[-2], plain),
                ALONE: partial(store, room.ids[-2], leasing),
                BUSY: partial(store, full, leasing),
            },
        )


def _store_table(stored: dict[str, Stored]) -> Table:
    rows: list[Row] = [
        {
            "store": name,
            **{f"{which}, us": 1e6 * median(times) for which, times in found.items()},
            f"{ALONE} / {BEFORE}": ratio(found[ALONE], found[BEFORE]),
            f"{BUSY} / {BEFORE}": ratio(found[BUSY], found[BEFORE]),
        }
        for name, found in stored.items()
    ]
    return Table("what a store costs", rows)


def _targets(stored: dict[str, Stored]) -> list[Target]:
    return [
        at_most(f"{name}: store, {ALONE} / {BEFORE}", ratio(found[ALONE], found[BEFORE]), 1.02)
        for name, found in stored.items()
    ]


# --- memory


def _memory(party: Party, size: Size) -> tuple[float, float]:
    """Megabytes of the server and its processes, before and with the idle connections."""
    server = Server(party.kind)
    try:
        return asyncio.run(_idle(party, server, size))
    finally:
        server.stop()


async def _idle(party: Party, server: Server, size: Size) -> tuple[float, float]:
    room = await party.room(server, size.idle)
    clients = [await room.join(0)]
    before = _proportional(server.process.pid)
    for first in range(1, size.idle, 20):
        clients += await asyncio.gather(*(room.join(number) for number in range(first, min(size.idle, first + 20))))
    after = _proportional(server.process.pid)
    for client in clients:
        client.transport.abort()
    await room.close()
    return before, after


def _memory_table(memory: dict[str, tuple[float, float]], size: Size) -> Table:
    rows: list[Row] = [
        {
            "server": name,
            "1 connection, MB": before,
            f"{size.idle:,} connections, MB": after,
            "KB each": 1024 * max(0.0, after - before) / (size.idle - 1),
        }
        for name, (before, after) in memory.items()
    ]
    return Table("memory of the server's first process (PSS)", rows)


def _proportional(pid: int) -> float:
    """Megabytes of a process; pages that it shares count in part."""
    found = re.search(r"Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())
    assert found is not None
    return int(found[1]) / 1024


def _allow_files(number: int) -> None:
    """Let this process and its children open so many files, if the system lets them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, number)), hard))
