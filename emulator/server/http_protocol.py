"""The HTTP protocol of one connection: uvicorn's, with limits on what a client may leave unfinished.

uvicorn has no public way to do any of this, so this is the only module that uses its private classes.
`tests/emulator/test_http_protocol.py` names every private attribute that is used here, and fails when one is missing.
"""

from __future__ import annotations

import asyncio
import functools
import json
from typing import Any, ClassVar
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from emulator.gateway.gateway import REPLY
from emulator.gateway.request import SENT_NAMES
from emulator.gateway.response import Response
from emulator.gateway.websocket.websocket_gateway import WebSocketGateway
from emulator.server.websocket_protocol import WebSocketProtocol

HEAD_BYTES = 65_536
"""A head or a trailer beyond this is not read to its end; the gateway's own limit is lower."""
HEAD_SECONDS = 30.0
"""How long a client may take to send a head, from the opening of the connection or from the head's first byte."""
LINGER_SECONDS = 1.0
"""How long a refused client is still listened to: closing with unread bytes would destroy the answer on its way."""


class Protocol(HttpToolsProtocol):
    """One connection.

    The limit of a head counts bytes as they arrive, whether they make a URL, a header or a trailer. A request for an
    upgrade that is not served here is an ordinary request, trailers are dropped, and a request names one host.
    """

    websockets: ClassVar[WebSocketGateway | None] = None
    """What takes the handshakes of WebSockets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._ignored_upgrade: bytes | None = None
        self._upgrades = False
        self._undelivered = 0
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected: its first head is due."""
        super().connection_made(transport)
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: nothing is due any more."""
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived."""
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self._undelivered += len(data)
        try:
            self._parse(data)
        except HttpParserError:
            self._refuse(400, "Bad Request")
        if self._undelivered > HEAD_BYTES:
            self._refuse(431, "Request Header Fields Too Large")
        elif not self._working():
            self._set_deadline()  # no application reads this, so no other time-out ends it

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except HttpParserUpgrade as upgrade:
                if self._ignored_upgrade is None:
                    self._hand_over(data[upgrade.args[0] :])
                    return
                # The parser stops behind the head of an upgrade: it reads on from the same head without one.
                data = self._ignored_upgrade + data[upgrade.args[0] :]
                self._ignored_upgrade = None

    def _working(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = True
        self._sent_names: list[bytes] = []
        self.scope[SENT_NAMES] = self._sent_names  # type: ignore[literal-required]

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one field of a trailer, which is dropped."""
        if self._in_head:
            self._sent_names.append(name)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete. What is raised here becomes a 400."""
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts != 1 and (hosts or self.parser.get_http_version() != "1.0"):
            raise ValueError("a request names one host")
        self._upgrades = self.parser.should_upgrade() and self._is_for_websockets()
        if self.parser.should_upgrade() and not self._upgrades:
            self._ignored_upgrade = self._head_without_upgrade()
            return
        if self._upgrades and self._working():
            raise ValueError("a handshake begins before the response to the request before it")
        self._in_head = False
        self._clear_deadline()
        super().on_headers_complete()

    def _should_upgrade(self) -> bool:
        return self._upgrades

    def _is_for_websockets(self) -> bool:
        if self.websockets is None or self._get_upgrade() != b"websocket" or self.server is None:
            return False
        return self.websockets.serves(unquote(self.url.partition(b"?")[0].decode("latin-1")), self.server[1] or 0)

    def _hand_over(self, rest: bytes) -> None:
        """The client asks for a WebSocket: from now on its connection has another protocol."""
        assert self.websockets is not None
        self.connections.discard(self)
        path, _, query = self.url.partition(b"?")
        scope = {**self.scope, "raw_path": path, "query_string": query}
        WebSocketProtocol(self.websockets, scope, self.transport).start(rest)

    def _head_without_upgrade(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise ValueError("this is no proxy")
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        sent = zip(self._sent_names, self.headers, strict=True)
        lines += [b"%b: %b" % (name, value) for name, (lower, value) in sent if lower != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._undelivered = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete, unless it is to be read again without its upgrade."""
        if self._ignored_upgrade is None:
            self._undelivered = 0
            self._clear_deadline()
            super().on_message_complete()

    def _set_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._is_late)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _is_late(self) -> None:
        if self._in_head:
            self._refuse(408, "Request Timeout")
        else:
            self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer, read nothing more, and hang up; after the response that is under way, if there is one."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._clear_deadline()
        self.logger.warning("a request was refused: %d %s", status, message)
        if self._working() and not self.cycle.more_body:
            self.shutdown()  # the request before this one still gets its response
        elif self._working() and (self.pipeline or self.cycle.response_started):
            self.transport.close()
        else:
            self._hang_up(status, message)

    def _hang_up(self, status: int, message: str) -> None:
        if self.cycle is not None:
            self.cycle.disconnected = True  # an application that waits for the rest of the body stops
            self.cycle.message_event.set()
        body = json.dumps({"message": message}).encode()
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        extensions: Any = {REPLY: functools.partial(_reply, cycle)}
        cycle.scope["extensions"] = extensions
        super()._start_asgi_task(cycle, app)


async def _reply(cycle: RequestResponseCycle, response: Response) -> None:
    """Send what uvicorn sends for the two messages of a response, in one system call and one packet.

    Instead of a response that is lost, the client gets the end of its connection.
    """
    del cycle.scope["extensions"]  # it refers to the cycle: both would wait for the garbage collector
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if response.lost:
        cycle.disconnected = True
        cycle.transport.close()
    if cycle.disconnected:
        return
    parts = [STATUS_LINE[response.status]]
    for name, value in (*cycle.default_headers, *response.headers):
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
    if cycle.scope["method"] != "HEAD":
        parts.append(response.body)
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(b"".join(parts))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
