"""A WebSocket API and an asynchronous Invoke API in this process, by the protocols of `shared.live.ports`."""

import importlib
import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from shared import environment
from shared.config import Settings
from shared.live.classroom import Platform
from shared.live.ports import GoneError
from tests.conftest import Answer, Classroom, Context, Json, golden, invoke

DELIVER, REPLAY = "deliver", "replay"

Fault = Callable[[str, Json], None]
"""Called before a frame is sent, with the connection and the frame; it may raise."""


class Killed(BaseException):
    """The container dies here: the service catches nothing of it."""


@dataclass
class Gateway:
    """The connections, what each of them has received, and the invocations that were started."""

    frames: dict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    closed: list[str] = field(default_factory=list)
    started: deque[tuple[str, Json]] = field(default_factory=deque)
    fault: Fault = lambda connection_id, frame: None
    """What goes wrong at a post."""
    fault_at_close: Callable[[str], None] = lambda connection_id: None
    fault_at_start: Callable[[str, Json], None] = lambda function, event: None
    open: set[str] = field(default_factory=set)
    contexts: dict[str, Json] = field(default_factory=dict)
    _numbers: Any = field(default_factory=count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # --- what the service calls

    def post(self, connection_id: str, data: bytes) -> None:
        """Send a frame."""
        frame = json.loads(data)
        self.fault(connection_id, frame)
        with self._lock:
            if connection_id not in self.open:
                raise GoneError(connection_id)
            self.frames[connection_id].append(frame)

    def close(self, connection_id: str) -> None:
        """Close a connection."""
        self.fault_at_close(connection_id)
        with self._lock:
            self.open.discard(connection_id)
            self.closed.append(connection_id)

    def start(self, function: str, event: Json) -> None:
        """Queue an invocation."""
        self.fault_at_start(function, event)
        with self._lock:
            self.started.append((function, json.loads(json.dumps(event))))

    # --- what clients and the gateway do

    def handshake(self, room: str, user_id: str, role: str | None = None, /, **changes: Any) -> tuple[str, Answer]:
        """A handshake, as `authorize` and `connect` answer it; the connection is open when it is accepted."""
        query = {"user_id": user_id, "role": role or ("instructor" if "_" in user_id else "student")}
        return self.shake({**query, "session_id": room, **changes})

    def shake(
        self, query: Mapping[str, str | list[str]], headers: Mapping[str, str] | None = None
    ) -> tuple[str, Answer]:
        """A handshake with this query; a list is a parameter that comes several times."""
        connection_id = f"L{next(self._numbers):08}="
        sent = self._event("connect", connection_id)
        del sent["queryStringParameters"], sent["multiValueQueryStringParameters"]
        values = {name: value if isinstance(value, list) else [value] for name, value in query.items()}
        if values:
            sent["queryStringParameters"] = {name: value[-1] for name, value in values.items()}
            sent["multiValueQueryStringParameters"] = values
        sent["headers"] |= headers or {}
        asked = sent | {"type": "REQUEST", "methodArn": golden("authorize/websocket")["methodArn"]}
        allowed = importlib.import_module("functions.authorize").handler(asked, Context())
        self.contexts[connection_id] = allowed["context"] | {"principalId": allowed["principalId"]}
        sent["requestContext"]["authorizer"] = self.contexts[connection_id]
        answer = invoke("connect", sent)
        if answer.status == 200:
            self.open.add(connection_id)
        return connection_id, answer

    def join(self, room: Classroom, user_id: str, role: str | None = None) -> str:
        """Connect somebody, and run what that starts."""
        connection_id, answer = self.handshake(room.id, user_id, role)
        assert answer.status == 200, answer.text
        self.run()
        return connection_id

    def send(self, connection_id: str, frame: object, **changes: Any) -> Json | None:
        """Send a frame; what comes back in its answer. A `str` is sent as it is."""
        sent = self._event("receive", connection_id) | {"body": frame if isinstance(frame, str) else json.dumps(frame)}
        sent["requestContext"]["authorizer"] = self.contexts[connection_id]
        answer = importlib.import_module("functions.receive").handler(sent | changes, Context())
        assert answer["statusCode"] == 200
        return json.loads(answer["body"]) if "body" in answer else None

    def leave(self, connection_id: str) -> None:
        """A client goes away, and `$disconnect` comes."""
        self.open.discard(connection_id)
        sent = self._event("disconnect", connection_id)
        sent["requestContext"]["authorizer"] = self.contexts[connection_id]
        importlib.import_module("functions.disconnect").handler(sent, Context())

    def run(self) -> None:
        """Run every invocation that was started, and what these start."""
        while (next_one := self._next()) is not None:
            self._run(*next_one)

    def _next(self) -> tuple[str, Json] | None:
        with self._lock:
            return self.started.popleft() if self.started else None

    def run_only(self, wanted: str) -> None:
        """Run the invocations of one function; the others stay in the queue."""
        queued, self.started = self.started, deque()
        for function, event in queued:
            if function == wanted:
                self._run(function, event)
            else:
                self.started.append((function, event))

    def _run(self, function: str, event: Json) -> None:
        importlib.import_module(f"functions.{function}").handler(event, Context())

    def sweep(self) -> None:
        """The schedule comes, and what it starts runs."""
        importlib.import_module("functions.deliver").handler({"source": "aws.events"}, Context())
        self.run()

    # --- what a client has

    def texts(self, connection_id: str) -> list[str]:
        """The texts of the messages that a connection has received, and the names of the system frames."""
        return [frame["content"].get("event") or frame["content"]["text"] for frame in self.frames[connection_id]]

    @staticmethod
    def _event(name: str, connection_id: str) -> Json:
        made = golden(name)
        made["requestContext"]["connectionId"] = connection_id
        return made


def install(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """Make the service use a gateway in this process from here on."""
    gateway = Gateway()

    def platform(settings: Settings) -> Platform:
        return Platform(gateway, gateway, DELIVER, REPLAY)

    monkeypatch.setattr(environment, "open_platform", platform)
    monkeypatch.setenv("SWITCHBOARD_CONNECTIONS_URL", "https://gateway.example/dev")
    environment.reset()
    return gateway
