"""Request bodies: read whole, within a limit of bytes and of time."""

from __future__ import annotations

import asyncio

from starlette.types import Receive

from emulator.gateway.response import Headers

MAX_BODY = 10 * 1024 * 1024
BODY_TIMEOUT = 30.0
"""Seconds that a client may take to send its body."""


class ClientGoneError(Exception):
    """The client closed the connection, or took too long, before its request was complete."""


class Bodies:
    """Reads request bodies, and knows which are incomplete, so that a stop need not wait for slow clients."""

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()

    async def read(self, headers: Headers, receive: Receive) -> bytes | None:
        """The whole body, b"" when none was announced, None when it is over the limit."""
        length, chunked = _announced(headers)
        if length > MAX_BODY:
            return None
        if not length and not chunked:
            return b""
        limit = asyncio.timeout(BODY_TIMEOUT)
        self._open.add(limit)
        try:
            async with limit:
                return await _parts(receive)
        except TimeoutError:
            raise ClientGoneError from None
        finally:
            self._open.discard(limit)

    def shorten_deadlines(self) -> None:
        """Give the clients that are still sending one more second."""
        for limit in self._open:
            limit.reschedule(asyncio.get_running_loop().time() + 1)


def _announced(headers: Headers) -> tuple[int, bool]:
    sent = dict(headers)
    return int(sent.get(b"content-length", 0)), b"transfer-encoding" in sent


async def _parts(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        parts.append(message["body"])
        size += len(message["body"])
        if size > MAX_BODY:
            return None
        if not message.get("more_body"):
            return b"".join(parts)
