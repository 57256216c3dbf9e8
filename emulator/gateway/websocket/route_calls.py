"""Calls the functions of a WebSocket API's routes; each event is one line in the console.

The manifest is read again before each event if it has changed, so routes and functions are always the newest.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import msgspec

from emulator.containers import Outcome
from emulator.gateway.limited_calls import LimitedCalls
from emulator.gateway.request import Request
from emulator.gateway.response import Response
from emulator.gateway.websocket import answers, connect_authorizer, events
from emulator.gateway.websocket.answers import Failure
from emulator.gateway.websocket.connection import Connection
from emulator.manifest.events.websocket_model import CONNECT, DISCONNECT, WebSocketRoute
from emulator.manifest.model import Manifest
from emulator.manifest.yaml.document import ManifestError
from emulator.service import ids
from emulator.service.project import Project

TIMEOUT = 29.0
"""Seconds that a WebSocket API waits for a function."""
BINARY = "binary: AWS closes the connection with 1003"
"""The console's note on a binary message, which only the emulator hands to a function."""

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Line:
    """What the console shows of one event."""

    key: str
    status: int
    function: str = ""
    note: str = ""


class RouteCalls:
    """Calls functions by the project's current manifest."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._calls = LimitedCalls(project)

    async def connect(self, connection: Connection, request: Request) -> Response | None:
        """The response to a handshake that is refused, None for one that is accepted."""
        begun = time.perf_counter()
        line = Line(CONNECT, 101)
        refused = await self._connect(connection, request, line)
        if refused is not None:
            line.status, line.note = refused.status, refused.note
        self.show(line, connection, begun)
        return refused

    async def message(self, connection: Connection, data: str | bytes) -> str | None:
        """What the client gets, if anything."""
        begun = time.perf_counter()
        line = Line("-", 200, note=BINARY if isinstance(data, bytes) else "")
        reply = await self._message(connection, data, line)
        self.show(line, connection, begun)
        return reply

    async def disconnect(self, connection: Connection, code: int, reason: str) -> None:
        """The connection is closed."""
        begun = time.perf_counter()
        line = Line(DISCONNECT, code)
        try:
            manifest = self._project.refresh()
        except ManifestError as problem:
            line.note = str(problem)
        else:
            route = _routes(manifest).get(DISCONNECT)
            if route is not None:
                line.function = route.function
                event = events.disconnect(connection, code, reason, self._project.clock.time())
                failure = answers.failure(await self._invoke(manifest, route, event))
                line.note = failure.note if failure else ""
        self.show(line, connection, begun)

    def show(self, line: Line, connection: Connection | None = None, begun: float | None = None) -> None:
        """Write the line of an event, which began at this reading of `time.perf_counter`."""
        elapsed = (time.perf_counter() - begun) * 1000 if begun else 0.0
        notes = (connection.id if connection else "", line.note)
        self._project.console.request(
            "WS", line.key, line.status, elapsed, line.function, ": ".join(filter(None, notes))
        )

    async def _connect(self, connection: Connection, request: Request, line: Line) -> Response | None:
        try:
            manifest = self._project.refresh()
        except ManifestError as problem:
            return answers.refusal(connection, 500, answers.FAILED, request.id, str(problem))
        connection.stage = manifest.stage
        route = _routes(manifest).get(CONNECT)
        if route is None:
            return None
        if route.authorizer is not None:
            line.function = route.authorizer.function
            functions = self._project.functions
            allowed = await connect_authorizer.ask(route.authorizer, connection, request, manifest, functions)
            if isinstance(allowed, Response):
                return allowed
            connection.authorizer = allowed
        line.function = route.function
        event = events.connect(connection, request, self._project.clock.time())
        outcome = await self._invoke(manifest, route, event, request.trace_id)
        return answers.connect(connection, outcome, request.id)

    async def _message(self, connection: Connection, data: str | bytes, line: Line) -> str | None:
        request_id = ids.request()

        def failed(status: int, failure: Failure) -> str:
            line.status, line.note = status, failure.note
            return answers.error(connection, failure.message, request_id)

        try:
            manifest = self._project.refresh()
        except ManifestError as problem:
            return failed(500, Failure(answers.FAILED, str(problem)))
        text = data if isinstance(data, str) else ""
        route = manifest.websocket.route(text) if manifest.websocket else None
        if route is None:
            return failed(403, Failure(answers.FORBIDDEN, "no route"))
        line.key, line.function = route.key, route.function
        event = events.message(connection, route.key, data, request_id, self._project.clock.time())
        outcome = await self._invoke(manifest, route, event)
        reply = answers.message(outcome, responds=route.responds)
        return failed(500, reply) if isinstance(reply, Failure) else reply

    async def _invoke(
        self, manifest: Manifest, route: WebSocketRoute, event: events.Event, trace_id: str = ""
    ) -> Outcome | None:
        """The outcome, None when the API's own time limit passes before the function is done."""
        function = manifest.functions[route.function]
        limit = math.inf if manifest.unlimited else TIMEOUT
        trace_id = trace_id or ids.trace(self._project.clock.time())
        call = self._project.functions.invoke(function, _encode(event), trace_id)
        return await self._calls.outcome(function, call, limit)


def _routes(manifest: Manifest) -> dict[str, WebSocketRoute]:
    return dict(manifest.websocket.routes) if manifest.websocket else {}
