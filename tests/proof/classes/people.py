"""One round: classes of a few minutes in some seconds, with people who come and go, and containers that are killed.

Everybody of a session is a client that connects, sends, listens, leaves in one of three ways and comes back. Others
store messages over HTTP meanwhile. Then somebody ends the session, while some are just connecting.
"""

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.emulator.harness import Emulator
from tests.proof.classes import emulator as emulators
from tests.proof.classes.checker import FINISHED_WITHIN
from tests.proof.classes.seen import Connection, Death, Departure, End, Message, Seen, frame_of
from tests.proof.record import OK
from tests.storage import Storage

STUDENTS = tuple(f"student{number}" for number in range(1, 19))
INSTRUCTORS = ("noether", "abel")
_BY_STUDENTS = ("instructor_inbox", "request_response", "analytics")
_BY_INSTRUCTORS = ("inbox_response", "request", "instructor_broadcast", "instructor_broadcast")
_OVER = (403, 404, 410)
"""Statuses after which a client does not connect again."""
_SWEEP_EVERY = 16.0  # seconds: a lease has expired then

Json = dict[str, Any]

Store = Callable[[Json], str]
"""Stores a message of `tests.proof.handlers.ASK` in this process, and returns the outcome."""


@dataclass(frozen=True)
class Shape:
    """The size of a round. Times are in seconds."""

    seed: str
    seconds: float
    classes: int = 2  # at the same time
    students: int = 4  # of each class, beside two instructors: all of them send
    clients: int = 6  # of each class: these connect too
    messages: int | None = None  # of each sender, before the class ends; None: its life has a length
    life: tuple[float, float] = (4.0, 8.0)  # from the creation of a session to its end
    pause: tuple[float, float] = (0.1, 0.5)  # between two messages of one sender
    stay: tuple[float, float] = (0.3, 4.0)  # of a client, before it leaves
    kill_every: float | None = None  # the mean time between two kills
    options: tuple[str, ...] = ()  # of the emulator


class Round:
    """The people of one round."""

    def __init__(self, shape: Shape, emulator: Emulator, storage: Storage, store: Store | None = None) -> None:
        """With `store` every second message is stored here, in another process than the emulator's."""
        self.seen = Seen()
        self._shape = shape
        self._emulator = emulator
        self._storage = storage
        self._store_here = store
        self._random = random.Random(shape.seed)
        self._tokens = (f"m{number}" for number in itertools.count())
        self._http = emulators.http_client(emulator)

    async def run(self) -> Seen:
        """Hold classes until the time is over, wait until all is quiet, and read the histories."""
        until = time.monotonic() + self._shape.seconds
        async with self._http:
            killer = asyncio.create_task(self._kill(until))
            await asyncio.gather(*(self._classes(until) for _ in range(self._shape.classes)))
            await killer
            await self._wait_until_nobody_is_left()
            for session_id in self.seen.ends:
                self.seen.histories[session_id] = await self._history(session_id)
        return self.seen

    async def _kill(self, until: float) -> None:
        """Kill a container now and then."""
        every = self._shape.kill_every
        while every is not None and time.monotonic() < until:
            await asyncio.sleep(every * self._random.uniform(0.5, 1.5))
            function = emulators.kill_container(self._emulator, self._random)
            if function is not None:
                self.seen.deaths.append(Death(time.monotonic(), function))

    async def _classes(self, until: float) -> None:
        while time.monotonic() < until:
            await self._class()

    async def _class(self) -> None:
        students = self._random.sample(STUDENTS, self._shape.students)
        body = {"name": "class", "instructor_id": INSTRUCTORS[0], "student_ids": students}
        created = await self._call("POST", "/api/sessions", body, (201,))
        room = _Room(created["session"]["id"], tuple(students), asyncio.Event())
        people = [*((user, "student") for user in students), *((user, "instructor") for user in INSTRUCTORS)]
        connecting = people[-self._shape.clients :]
        clients = [asyncio.create_task(self._client(room, *person)) for person in connecting]
        senders = [asyncio.create_task(self._sender(room, *person)) for person in people]
        if self._shape.messages is None:
            await asyncio.sleep(self._random.uniform(*self._shape.life))
        else:
            await asyncio.gather(*senders)
        await self._end(room)
        await asyncio.gather(*senders)
        await self._finish(clients)

    async def _finish(self, clients: list[asyncio.Task[None]]) -> None:
        """Wait until every client is closed. The schedule comes early, so that a round need not wait for its minute."""
        deadline = time.monotonic() + FINISHED_WITHIN
        pending = set(clients)
        while pending and time.monotonic() < deadline:
            done, pending = await asyncio.wait(pending, timeout=_SWEEP_EVERY)
            for task in done:
                task.result()
            if pending:
                await emulators.sweep(self._http)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def _end(self, room: "_Room") -> None:
        begin = time.monotonic()
        room.ending.set()
        await self._call("DELETE", f"/api/sessions/{room.id}", None, (200, 409))
        self.seen.ends[room.id] = End(begin, time.monotonic())

    # --- who sends over HTTP

    async def _sender(self, room: "_Room", user: str, role: str) -> None:
        for number in itertools.count():
            if number == self._shape.messages:
                return
            await asyncio.sleep(self._random.uniform(*self._shape.pause))
            body = self._message(room, role) | {"from_user": user, "role": role}
            token = body["content"]["token"]
            if self._store_here is not None and number % 2:
                arguments = {"to_user": None, **body, "session_id": room.id, "token": token, "key": None}
                stored = await asyncio.to_thread(self._store_here, arguments) == OK
            else:
                status = await self._store(room, body, token)
                if status in (409, 410):
                    return
                stored = status == 201
            if stored:
                self.seen.stored[token] = time.monotonic()

    async def _store(self, room: "_Room", body: Json, token: str) -> int:
        """Store a message, once more with the same key when it is unknown whether it was stored."""
        for _attempt in range(2):
            headers = {"Idempotency-Key": token}
            answer = await self._http.post(f"/api/sessions/{room.id}/messages", json=body, headers=headers)
            if answer.status_code < 500:
                break
        return answer.status_code

    def _message(self, room: "_Room", role: str) -> Json:
        kind = self._random.choice(_BY_STUDENTS if role == "student" else _BY_INSTRUCTORS)
        message: Json = {"type": kind, "context": "proof", "content": {"token": next(self._tokens)}}
        if kind in ("inbox_response", "request"):
            message["to_user"] = self._random.choice(room.students)
        return message

    # --- who is connected

    async def _client(self, room: "_Room", user: str, role: str) -> None:
        """Connect again and again until the session is over."""
        query = f"user_id={user}&role={role}&session_id={room.id}"
        address = f"{emulators.url(self._emulator, 'ws')}/ws?{query}"
        older: list[asyncio.Task[None]] = []
        try:
            while True:
                await self._pause_before_connecting(room)
                asked = time.monotonic()
                try:
                    socket = await connect(
                        address, proxy=None, compression=None, open_timeout=60, ping_interval=None, close_timeout=10
                    )
                except (InvalidHandshake, OSError, TimeoutError) as refused:
                    status = getattr(getattr(refused, "response", None), "status_code", 0)
                    if status in _OVER:
                        return
                    continue
                connection = Connection(room.id, user, role, asked, time.monotonic())
                self.seen.connections.append(connection)
                listening = asyncio.create_task(self._listen(socket, connection))
                older.append(listening)
                sending = asyncio.create_task(self._send(room, socket, role))
                stays = self._random.random() < 0.3
                limit = None if stays else self._random.uniform(*self._shape.stay)
                await asyncio.wait({listening}, timeout=limit)
                sending.cancel()
                if listening.done() and not room.ending.is_set() and connection.events("replaced"):
                    continue
                if not listening.done():
                    await self._leave(socket, connection)
        finally:
            await asyncio.gather(*older, return_exceptions=True)

    async def _pause_before_connecting(self, room: "_Room") -> None:
        """Wait a moment; some connect just when the session is being ended."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(room.ending.wait(), self._random.uniform(0.05, 1.0))

    async def _leave(self, socket: ClientConnection, connection: Connection) -> None:
        """Close, cut the connection, or leave it open: then the next one replaces it."""
        way = self._random.choice((Departure.CLOSED, Departure.DROPPED, Departure.STAYED))
        if way is Departure.STAYED:
            return
        connection.departure = way
        if way is Departure.CLOSED:
            await socket.close()
        else:
            socket.transport.abort()

    @staticmethod
    async def _listen(socket: ClientConnection, connection: Connection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                connection.frames.append(frame_of(await socket.recv(), time.monotonic()))
        connection.closed = time.monotonic()

    async def _send(self, room: "_Room", socket: ClientConnection, role: str) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(2 * self._random.uniform(*self._shape.pause))
                await socket.send(json.dumps(self._message(room, role)))

    # --- afterwards

    async def _wait_until_nobody_is_left(self) -> None:
        """Until the tables have no connection; what is there after a minute is kept as a finding."""
        deadline = time.monotonic() + FINISHED_WITHIN
        next_sweep = time.monotonic() + _SWEEP_EVERY
        while left := emulators.rows(self._storage):
            if time.monotonic() > deadline:
                self.seen.left = [f"left in the tables: {row}" for row in left]
                return
            if time.monotonic() > next_sweep:
                await emulators.sweep(self._http)
                next_sweep += _SWEEP_EVERY
            await asyncio.sleep(0.2)

    async def _history(self, session_id: str) -> list[Message]:
        found: list[Message] = []
        cursor = ""
        while True:
            page = await self._call("GET", f"/api/sessions/{session_id}/messages?limit=1000{cursor}", None, (200,))
            for one in page["messages"]:
                found.append(Message(one["id"], one["content"]["token"], one["type"], one["from_user"], one["to_user"]))
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    async def _call(self, method: str, path: str, body: Json | None, expected: Container[int]) -> Json:
        """Call until the answer has an expected status: a container that was killed is no answer."""
        for _attempt in range(20):
            answer = await self._http.request(method, path, json=body)
            if answer.status_code in expected:
                decoded: Json = answer.json()
                return decoded
            if answer.status_code < 500 and answer.status_code != 429:
                break
        raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")


@dataclass(frozen=True)
class _Room:
    """A session, and the moment from which it is being ended."""

    id: str
    students: tuple[str, ...]
    ending: asyncio.Event
