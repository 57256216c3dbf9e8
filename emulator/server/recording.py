"""Recordings: every request with its answer and its time, one JSON object on each line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TextIO

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from emulator.containers.tasks import Tasks
from emulator.server import request_views
from emulator.server.management import PREFIX
from emulator.server.queries import RefusedError, number, parameters
from emulator.server.requests_api import STREAM_SECONDS
from emulator.service.request_book import Record, RequestBook

_SHOWN = ("id", "time", "method", "path", "function", "api", "request", "answer", "milliseconds")


def line(record: Record, *, with_secrets: bool) -> str:
    """One request as a line of a recording; what identifies its caller is masked unless asked for."""
    found = request_views.details(record, with_secrets=with_secrets)
    began = request_views.written(record.epoch)
    return json.dumps({name: found[name] for name in _SHOWN} | {"time": began}) + "\n"


async def lines(book: RequestBook, after: int, *, with_secrets: bool, follow: bool) -> AsyncIterator[str]:
    """The requests after this number, the oldest first; with `follow` also those to come, until the book is closed."""
    while True:
        for record in book.oldest_first(after):
            after = record.number
            yield line(record, with_secrets=with_secrets)
        if not follow or book.closed:
            return
        await asyncio.sleep(STREAM_SECONDS)
        await book.wait(after)


class RecordingRoutes:
    """The recording as a stream, for the command `record` and for a download from the page."""

    def __init__(self, book: RequestBook) -> None:
        self._book = book

    def routes(self) -> list[Route]:
        """The routes, all below PREFIX."""
        return [Route(f"{PREFIX}/recording", self.recording, methods=["GET"])]

    async def recording(self, request: Request) -> Response:
        """The requests that are kept, after a number; with `follow=1` the answer goes on until the client leaves."""
        query = parameters(request, "after", "follow", "secrets")
        after = number(query, "after", 0)
        for name in ("follow", "secrets"):
            if query.get(name, "0") not in ("0", "1"):
                raise RefusedError(f"{name} must be 0 or 1")
        found = lines(self._book, after, with_secrets=query.get("secrets") == "1", follow=query.get("follow") == "1")
        headers = {"cache-control": "no-store", "content-disposition": 'attachment; filename="recording.ndjson"'}
        return StreamingResponse(found, media_type="application/x-ndjson", headers=headers)


class Recorder:
    """Writes every request to a file, from the start of the emulator to its end (`--record`)."""

    def __init__(self, book: RequestBook, file: TextIO) -> None:
        self._book = book
        self._file = file
        self._after = 0
        self._tasks = Tasks()

    def start(self) -> None:
        """Begin; called once, with the event loop running."""
        self._tasks.start(self._follow())

    def finish(self) -> None:
        """Write what is left; called when no further request comes."""
        self._write()
        self._file.close()

    async def _follow(self) -> None:
        while not self._book.closed:
            await self._book.wait(self._after)
            self._write()
            await asyncio.sleep(STREAM_SECONDS)

    def _write(self) -> None:
        found = self._book.oldest_first(self._after)
        if lost := self._book.last - self._after - len(found):
            self._file.write(json.dumps({"lost": lost}) + "\n")
        self._after = self._book.last
        self._file.writelines(line(record, with_secrets=False) for record in found)
        self._file.flush()
