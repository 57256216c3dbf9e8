"""A class over WebSocket, on both engines: 200 messages while clients come and go, and clients like the published."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from shared import environment
from shared.config import variable
from shared.live.aws import LAMBDA_ENDPOINT, AwsConnections, AwsFunctions
from shared.live.classroom import Platform
from tests.conftest import Json
from tests.emulator.harness import TIMEOUT, Emulator
from tests.proof.classes import emulator as emulators
from tests.proof.classes.checker import violations
from tests.proof.classes.people import Round, Shape, Store
from tests.proof.classes.seen import COMPLETE, ENDED, MESSAGE_TYPES
from tests.proof.handlers import ASK
from tests.storage import Storage

CLIENT = Path(__file__).parent / "published_client.mjs"
NODE = [shutil.which("node") or "node", "--experimental-websocket", "--no-warnings"]

FUNCTIONS = "switchboard-sessions-dev"
NOETHER = {"from_user": "noether", "role": "instructor"}


def has_websocket() -> bool:
    """Whether there is a Node.js with a WebSocket of its own."""
    asked = [*NODE, "-e", "process.exit(typeof WebSocket === 'function' ? 0 : 1)"]
    return shutil.which("node") is not None and subprocess.run(asked, capture_output=True).returncode == 0


@pytest.fixture
def emulator(empty: Storage, tmp_path: Path) -> Iterator[Emulator]:
    """An emulator with two containers of each function, on each engine."""
    with emulators.serving(tmp_path, empty, "--max-containers", "2") as emulator:
        yield emulator


class PublishedClient:
    """A client that does as the published one in Python does."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def send(self, kind: str, text: str, to_user: str | None = None) -> None:
        """Send a message."""
        frame = {"type": kind, "context": "general", "content": {"text": text}}
        self._socket.send(json.dumps(frame if to_user is None else frame | {"to_user": to_user}))

    def next(self) -> str:
        """The text of the next message, or the event of the next system frame."""
        frame: Any = json.loads(self._socket.recv(TIMEOUT))
        assert frame["type"] in {*MESSAGE_TYPES, "system"}
        assert isinstance(frame["content"], dict)
        found: str = frame["content"].get("event") or frame["content"].get("text") or frame["context"]
        return found

    def closed(self) -> bool:
        """Whether the server closes now, and the client takes that for the normal end."""
        with pytest.raises(ConnectionClosed):
            self._socket.recv(TIMEOUT)
        return self._socket.close_code in (1000, 1001)


@contextmanager
def joined(emulator: Emulator, session_id: str, user_id: str, role: str = "student") -> Iterator[PublishedClient]:
    """A client that has read the history."""
    query = f"user_id={user_id}&role={role}&session_id={session_id}"
    with connect(f"{emulators.url(emulator, 'ws')}/ws?{query}", proxy=None, open_timeout=TIMEOUT) as socket:
        client = PublishedClient(socket)
        assert client.next() == COMPLETE
        yield client


class NodeClient:
    """The client in JavaScript, in a process of its own: it prints what it receives."""

    def __init__(self, emulator: Emulator, session_id: str, user_id: str) -> None:
        query = f"user_id={user_id}&role=student&session_id={session_id}"
        command = [*NODE, str(CLIENT), f"{emulators.url(emulator, 'ws')}/ws?{query}"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.next() == "open"
        assert self.next() == COMPLETE

    def send(self, frame: Json) -> None:
        """Send a message."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(frame) + "\n")
        self._process.stdin.flush()

    def next(self) -> str:
        """The next line: a text, an event, "open" or "closed"; empty when the client has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def session(emulator: Emulator) -> str:
    """A new session."""
    body = {"name": "class", "instructor_id": "noether", "student_ids": ["ann", "bob"]}
    found: str = emulator.post("/api/sessions", body).json["session"]["id"]
    return found


@pytest.fixture
def store_here(emulator: Emulator, empty: Storage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """`store` in this process, beside the emulator's: on the same database, with the emulator's APIs of AWS."""
    api = emulators.url(emulator)
    aws = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    called = aws | {LAMBDA_ENDPOINT: api}
    connections, functions = AwsConnections(api, called), AwsFunctions(called)
    platform = Platform(connections, functions, f"{FUNCTIONS}-deliver", f"{FUNCTIONS}-replay")
    monkeypatch.setattr(environment, "open_platform", lambda _settings: platform)
    for name, value in {"database_url": empty.url, "connections_url": api, "messages_per_minute": "0"}.items():
        monkeypatch.setenv(variable(name), value)
    environment.reset()
    yield lambda arguments: ASK["store"](arguments)[0]
    functions.release()
    connections.release()


def test_200_messages_reach_10_clients_that_come_and_go(emulator: Emulator, empty: Storage, store_here: Store) -> None:
    shape = Shape("class", 0.1, classes=1, students=18, clients=10, messages=10)
    seen = asyncio.run(Round(shape, emulator, empty, store_here).run())
    assert violations(seen) == []
    assert len(seen.stored) == 200
    assert len(seen.connections) > 10


def test_the_published_clients_hold_a_class(emulator: Emulator) -> None:
    room = session(emulator)
    with ExitStack() as stack:
        teacher = stack.enter_context(joined(emulator, room, "noether", "instructor"))
        ann = stack.enter_context(joined(emulator, room, "ann"))
        ann.send("instructor_inbox", "What is 1/2 + 1/4?")
        assert teacher.next() == "What is 1/2 + 1/4?"
        teacher.send("inbox_response", "3/4", "ann")
        teacher.send("instructor_broadcast", "Well done")
        assert sorted((ann.next(), ann.next())) == ["3/4", "Well done"]
        assert emulator.request("DELETE", f"/api/sessions/{room}").status == 200
        for client in (teacher, ann):
            assert client.next() == ENDED
            assert client.closed()


@pytest.mark.skipif(not has_websocket(), reason="node has no WebSocket: Node.js 20.10 is needed")
def test_the_client_in_javascript_does_not_come_back_after_the_end(emulator: Emulator) -> None:
    room = session(emulator)
    with ExitStack() as stack:
        teacher = stack.enter_context(joined(emulator, room, "noether", "instructor"))
        bob = stack.enter_context(closing(NodeClient(emulator, room, "bob")))
        bob.send({"type": "instructor_inbox", "context": "general", "content": {"text": "Hello"}})
        assert teacher.next() == "Hello"
        teacher.send("request", "Show your work", "bob")
        assert bob.next() == "Show your work"
        assert emulator.request("DELETE", f"/api/sessions/{room}").status == 200
        assert [bob.next(), bob.next(), bob.next()] == [ENDED, "closed", ""]


@pytest.mark.skipif(not has_websocket(), reason="node has no WebSocket: Node.js 20.10 is needed")
def test_two_clients_of_one_user_do_not_replace_each_other_for_ever(emulator: Emulator) -> None:
    room = session(emulator)
    with ExitStack() as stack:
        older = stack.enter_context(closing(NodeClient(emulator, room, "bob")))
        newer = stack.enter_context(closing(NodeClient(emulator, room, "bob")))
        assert [older.next(), older.next(), older.next()] == [ENDED, "closed", ""]
        emulator.post(
            f"/api/sessions/{room}/messages", {"type": "instructor_broadcast", "content": {"text": "Hello"}, **NOETHER}
        )
        assert newer.next() == "Hello"
