"""The latest HTTP requests, each with all that happened to it: bounded in number and in bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from emulator.containers import Fault, Outcome
from emulator.manifest.model import Function, Route

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, and values, in the order in which they came or went."""

RECORD_BYTES = 2048
"""What a record takes besides what it holds."""
HEADER_BYTES = 160
"""What one header takes besides its characters, more or less."""


@dataclass(slots=True)
class Authorization:
    """What the authorizer of a route said about one request."""

    name: str
    """The authorizer's name in the manifest."""
    allowed: bool
    reason: str
    """Why it refused."""
    principal: str | None
    values: dict[str, Any]
    """The caller's claims, or the context that a Lambda authorizer returned."""
    begun: float
    """By `time.perf_counter`."""
    ended: float


@dataclass(slots=True)
class Record:
    """One request from its head to its answer. What was not reached, such as the event of an unknown route, is empty.

    `begun`, `invoked` and `returned` are moments of `time.perf_counter`; `epoch` is the time by the clock.
    """

    method: str
    path: str
    """As it was sent, percent-encoded."""
    query: bytes
    headers: Headers
    sent_names: list[bytes]
    """The names of `headers` as the client wrote them."""
    port: int
    client: str
    begun: float
    epoch: float
    body: bytes = b""
    route: Route | None = None
    event: bytes = b""
    """JSON, as the function received it."""
    request_id: str = ""
    """Of the invocation; empty when no function was called."""
    invoked: float = 0.0
    returned: float = 0.0
    outcome: Outcome | None = None
    """None, too, when the gateway did not wait for it."""
    authorization: Authorization | None = None
    status: int = 0
    answer_headers: Headers = field(default_factory=list)
    answer: bytes = b""
    note: str = ""
    """Why the gateway itself answered, in a few words."""
    milliseconds: float = 0.0
    number: int = 0
    """1, 2, 3, … in the order in which the requests were answered."""
    original: int = 0
    """The number of the request that this one repeats; 0 for a client's own."""

    @property
    def function(self) -> Function | None:
        """The function of the request's route."""
        return self.route.function if self.route else None

    @property
    def cold(self) -> bool:
        """Whether the function had to be started for it."""
        return self.outcome is not None and self.outcome.init is not None

    @property
    def target(self) -> str:
        """The path with its query, as in the request line."""
        return f"{self.path}?{self.query.decode('latin-1')}" if self.query else self.path

    @property
    def body_unread(self) -> bool:
        """Whether the client sent a body that the gateway did not read, since it answered before."""
        return not self.body and any(
            name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
            for name, value in self.headers
        )

    def size(self) -> int:
        """About how many bytes of memory the record takes."""
        held = RECORD_BYTES + HEADER_BYTES * (len(self.headers) + len(self.answer_headers))
        held += len(self.query) + len(self.body) + len(self.event) + len(self.answer)
        if outcome := self.outcome:
            held += len(outcome.frame) + len(outcome.body) + len(outcome.log)
        return held

    def holds(self, text: bytes) -> bool:
        """Whether this text, in lower case, is in the path, the query, a body, the error or the log, in any case."""
        parts = [
            self.path.encode("latin-1", "replace"),
            self.query,
            self.body,
            self.answer,
            self.note.encode(errors="replace"),
        ]
        if self.outcome is not None:
            parts.append(self.outcome.log)
            if self.outcome.fault is not None:
                parts.append(self.outcome.frame)
        return any(text in part.lower() for part in parts)

    def spans(self) -> list[tuple[str, float, float]]:
        """Where the time went: names, with their start since the request's begin, and their length, in milliseconds.

        `queue` is what the function's own figures leave of the wait for it: for an idle environment, and for handing
        the event and the answer over.
        """
        found = [("gateway", 0.0, self.milliseconds)]
        if asked := self.authorization:
            found.append(("authorizer", (asked.begun - self.begun) * 1000, (asked.ended - asked.begun) * 1000))
        if not self.returned:
            return found
        start, waited = (self.invoked - self.begun) * 1000, (self.returned - self.invoked) * 1000
        if self.outcome is None:
            return [*found, ("handler", start, waited)]
        handler = min(self.outcome.duration, waited)
        init = min(self.outcome.init or 0.0, waited - handler)  # an environment may have been started before
        queue = waited - handler - init
        found.append(("queue", start, queue))
        if self.outcome.init is not None:
            found.append(("init", start + queue, init))
        if self.outcome.fault is not Fault.THROTTLED:
            found.append(("handler", start + queue + init, handler))
        return found


class RequestBook:
    """The latest records, at most so many and so many bytes."""

    NUMBER = 1000
    MEGABYTES = 64

    def __init__(self, number: int = NUMBER, megabytes: int = MEGABYTES) -> None:
        self._limit = number
        self._limit_bytes = megabytes * 1024 * 1024
        self._records: deque[tuple[Record, int]] = deque()
        self._bytes = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self.last = 0
        """The number of the newest record."""
        self.closed = False

    def add(self, record: Record) -> None:
        """Number a request that has been answered and keep it; drop the oldest ones that are too many."""
        self.last += 1
        record.number = self.last
        size = record.size()
        self._records.append((record, size))
        self._bytes += size
        while len(self._records) > self._limit or self._bytes > self._limit_bytes:
            self._bytes -= self._records.popleft()[1]
        if self._waiting:
            self._wake()

    @property
    def keeps(self) -> bool:
        """Whether it keeps any request."""
        return self._limit > 0

    def __len__(self) -> int:
        return len(self._records)

    def get(self, number: int) -> Record | None:
        """One record by its number; None when it is not kept any more, or not yet there."""
        place = number - (self.last - len(self._records)) - 1
        return self._records[place][0] if 0 <= place < len(self._records) else None

    def newest_first(self, after: int = 0) -> Iterator[Record]:
        """The records with a higher number than this, as they are now."""
        count = min(len(self._records), max(0, self.last - after))
        return iter([record for record, _ in islice(reversed(self._records), count)])

    def oldest_first(self, after: int) -> list[Record]:
        """The same in the other order."""
        return list(self.newest_first(after))[::-1]

    async def wait(self, after: int) -> None:
        """Return when there is a record with a higher number than this, or the book is closed."""
        while self.last <= after and not self.closed:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)

    def close(self) -> None:
        """The emulator stops: whoever waits for requests is woken."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()
