"""The routes of recorded requests: the list, one request, sending it again, and a stream of new ones."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from emulator.gateway.bodies import Bodies
from emulator.gateway.gateway import Gateway
from emulator.gateway.replay import BadRequestError, replay
from emulator.server import request_changes, request_views
from emulator.server.management import PREFIX
from emulator.server.queries import RefusedError, answer, number, parameters
from emulator.service.project import Project
from emulator.service.request_book import Record

LIMIT, MOST = 100, 10_000
"""How many requests one list has when nobody says, and at most."""
STREAM_SECONDS = 0.1
"""How long the stream collects new requests: a busy gateway is not interrupted for each."""
SILENT_SECONDS = 15.0
"""After how long without a request the stream says that it is still there."""
_SEARCHED = 64
"""How many records are searched before others may run."""
_STATUS = re.compile("[1-5](?:xx|[0-9][0-9])")

_encode = msgspec.json.Encoder().encode

Test = Callable[[Record], bool]


class RequestsApi:
    """Lists, shows and repeats the requests of a RequestBook."""

    def __init__(self, project: Project, gateway: Gateway) -> None:
        self._project = project
        self._book = project.requests
        self._gateway = gateway
        self.bodies = Bodies()

    def routes(self) -> list[Route]:
        """The routes, all below PREFIX."""
        return [
            Route(f"{PREFIX}/requests", self.list, methods=["GET"]),
            Route(f"{PREFIX}/requests/{{id}}", self.get, methods=["GET"]),
            Route(f"{PREFIX}/requests/{{id}}/replay", self.replay, methods=["POST"]),
            Route(f"{PREFIX}/stream", self.stream, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        """The newest requests, the newest first: after a number, of one function, with a status, with a text."""
        query = parameters(request, "after", "function", "status", "text", "limit")
        after, limit = number(query, "after", 0), number(query, "limit", LIMIT)
        if not 1 <= limit <= MOST:
            raise RefusedError(f"limit must be from 1 to {MOST}")
        test = self._test(query)
        last, found = self._book.last, []
        for count, record in enumerate(self._book.newest_first(after)):
            if count % _SEARCHED == _SEARCHED - 1:
                await asyncio.sleep(0)
            if test(record):
                found.append(request_views.summary(record))
                if len(found) == limit:
                    break
        return answer({"requests": found, "last": last})

    async def get(self, request: Request) -> Response:
        """Everything about one request; with `secrets=1`, also the headers that identify its caller."""
        wanted = parameters(request, "secrets").get("secrets", "0")
        if wanted not in ("0", "1"):
            raise RefusedError("secrets must be 0 or 1")
        return answer(request_views.details(self._record(request), with_secrets=wanted == "1"))

    async def replay(self, request: Request) -> Response:
        """Send a request again, as it was or with the changes of the body, and answer with the new one's record."""
        content = await self.bodies.read(request.scope["headers"], request.receive)
        if content is None:
            raise RefusedError("the changes are larger than the gateway takes", 413)
        parameters(request)
        record = self._record(request)
        try:
            made = await replay(self._gateway, record, request_changes.read(content, record))
        except BadRequestError as error:
            raise RefusedError(str(error)) from None
        return answer(request_views.details(made))

    async def stream(self, request: Request) -> Response:
        """Server-sent events: `request` with the line of each new request, `reset` when the numbers have begun anew.

        A client that connects again names the last one that it has seen with `Last-Event-ID` or `after`; without
        either the stream begins with what comes next.
        """
        after = number(parameters(request, "after"), "after", self._book.last)
        after = number(request.headers, "last-event-id", after)
        headers = {"cache-control": "no-store"}
        return StreamingResponse(self._events(after), media_type="text/event-stream", headers=headers)

    async def _events(self, after: int) -> AsyncIterator[bytes]:
        if after > self._book.last:
            after = 0
            yield b"id: 0\nevent: reset\ndata: {}\n\n"
        yield b": requests\n\n"
        while not self._book.closed:
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    await self._book.wait(after)
            except TimeoutError:
                yield b": nothing new\n\n"
                continue
            found = self._book.oldest_first(after)
            if found:
                after = found[-1].number
                yield b"".join([_event(record) for record in found])
            await asyncio.sleep(STREAM_SECONDS)

    def _record(self, request: Request) -> Record:
        record = self._book.get(number(request.path_params, "id", 0))
        if record is None:
            first, last = self._book.last - len(self._book) + 1, self._book.last
            raise RefusedError(
                f"no such request is kept: there are {first} to {last}" if first <= last else "no request is kept", 404
            )
        return record

    def _test(self, query: Mapping[str, str]) -> Test:
        """Whether a record is one of those that the query asks for."""
        text, name = query.get("text", "").lower().encode("utf-8", "replace"), query.get("function")
        function = self._project.manifest.function(name) if name else None
        full_name = function.full_name if function else name
        statuses = tuple(filter(None, query.get("status", "").split(",")))
        if strange := [one for one in statuses if not _STATUS.fullmatch(one)]:
            raise RefusedError(f"status must be like 404, 5xx or 4xx,5xx, not {strange[0]!r}")
        starts = tuple(one.removesuffix("xx") for one in statuses)

        def test(record: Record) -> bool:
            if name and (record.function is None or full_name not in (record.function.name, record.function.full_name)):
                return False
            if starts and not str(record.status).startswith(starts):
                return False
            return not text or record.holds(text)

        if (
            name
            and function is None
            and all(one.function is None or one.function.name != name for one in self._book.newest_first())
        ):
            raise RefusedError(f"there is no function {name!r}", 404)  # one of an earlier manifest may have requests
        return test


def _event(record: Record) -> bytes:
    line = request_views.summary(record)
    try:
        data = _encode(line)
    except UnicodeEncodeError:  # half a character, in a note
        data = json.dumps(line).encode()
    return b"id: %d\nevent: request\ndata: %b\n\n" % (record.number, data)
