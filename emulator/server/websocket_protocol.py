"""The WebSocket protocol of one connection, by the part of `websockets` that does no I/O.

uvicorn's own implementation cannot end a connection whose client does not read, closes with 1012 at a stop, and
reports a connection that broke off as one that was closed.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.http11 import Response as HandshakeResponse
from websockets.server import ServerProtocol

from emulator.gateway.response import Response
from emulator.gateway.websocket.connection import MAX_FRAME, MAX_MESSAGE, Connection
from emulator.gateway.websocket.websocket_gateway import WebSocketGateway

BUFFER_BYTES = 1_048_576
"""What may wait for a client that does not read."""
STALL_SECONDS = 5.0
"""How long a client may leave the buffer full, before its connection is ended."""
CLOSE_SECONDS = 2.0
"""How long a client may take to confirm that the connection is closed."""
NO_STATUS = "Client-side close frame status not set"
"""AWS's reason of a connection that was closed without a code."""

_NEEDED = (b"connection", b"host", b"upgrade")
"""The headers of a handshake that the protocol looks at, besides those that begin with Sec-WebSocket."""


class WebSocketProtocol(asyncio.Protocol):
    """One connection, from the head of its handshake on."""

    def __init__(self, gateway: WebSocketGateway, scope: Any, transport: asyncio.Transport) -> None:
        """`scope` is an ASGI scope of the handshake, `transport` the connection on which it has arrived."""
        self._gateway = gateway
        self._scope = scope
        self._transport = transport
        self._protocol = ServerProtocol(max_size=(MAX_MESSAGE, MAX_FRAME))
        self._connection: Connection | None = None
        self._early = b""
        self._parts: list[bytes] = []
        self._is_text = True
        self._lost = False
        self._closing = False
        self._full = False
        self._timer: asyncio.TimerHandle | None = None
        self._pauses = 0

    def start(self, early: bytes) -> None:
        """Take the connection over; `early` is what has arrived behind the head."""
        self._transport.set_protocol(self)
        self._transport.set_write_buffer_limits(high=BUFFER_BYTES)
        self._early = early
        self._protocol.receive_data(_head(self._scope))
        handshake = next(iter(self._protocol.events_received()), None)
        if not isinstance(handshake, Handshake):
            self._gateway.refused(400, "the handshake cannot be read")
            self._refuse(HandshakeResponse(400, "Bad Request", Headers()))
            return
        response = self._protocol.accept(handshake)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._gateway.refused(response.status_code, response.body.decode().strip())
            self._refuse(response)
            return
        self.pause()  # what the client sends before the 101 waits
        self._gateway.start(self._connect(response))

    async def _connect(self, accepted: HandshakeResponse) -> None:
        answer = await self._gateway.connect(self._scope, self)
        self._scope = None
        if isinstance(answer, Response):
            self._refuse(_refusal(answer))
            return
        self._connection = answer
        if answer.subprotocol is not None:
            accepted.headers["Sec-WebSocket-Protocol"] = answer.subprotocol
        self._protocol.send_response(accepted)
        self._flush()
        self._gateway.opened(answer)
        if self._lost:
            self._end()
            return
        if self._early:
            self.data_received(self._early)
            self._early = b""
        self.resume()

    def _refuse(self, response: HandshakeResponse) -> None:
        self._transport.write(response.serialize())
        self._transport.close()
        self._end_soon()

    def data_received(self, data: bytes) -> None:
        """asyncio: part of a frame, or of several."""
        if self._connection is None:  # a client that was refused
            return
        self._gateway.active(self._connection)
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event)
        self._flush()
        if self._protocol.parser_exc is not None:
            sent = self._protocol.close_sent
            self._closed(sent.code if sent else CloseCode.ABNORMAL_CLOSURE, sent.reason if sent else "")
        elif (received := self._protocol.close_rcvd) is not None:
            unset = received.code == CloseCode.NO_STATUS_RCVD
            self._closed(received.code, NO_STATUS if unset else received.reason)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is gone; also after the client has said that it will send nothing more."""
        self._lost = True
        self._cancel_timer()
        self._end()

    def pause_writing(self) -> None:
        """asyncio: the client does not read, and the buffer is full."""
        self._full = True
        self.pause()
        if not self._closing:
            self._timer = asyncio.get_running_loop().call_later(STALL_SECONDS, self._give_up)

    def resume_writing(self) -> None:
        """asyncio: the client has read."""
        self._full = False
        self.resume()
        if not self._closing:
            self._cancel_timer()

    @property
    def full(self) -> bool:
        """Whether the client does not read what it has been sent."""
        return self._full

    def send(self, data: str | bytes) -> None:
        """Send one message."""
        try:
            if isinstance(data, str):
                self._protocol.send_text(data.encode())
            else:
                self._protocol.send_binary(data)
        except InvalidState:  # the client is closing the connection
            return
        if self._connection is not None:
            self._gateway.active(self._connection)
        self._flush()

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame; a client that does not confirm it soon loses the connection all the same."""
        try:
            self._protocol.send_close(code, reason)
        except InvalidState:
            return
        self._flush()
        self._end_soon()

    def pause(self) -> None:
        """Read nothing until `resume` has been called as often as this."""
        self._pauses += 1
        if self._pauses == 1 and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on, if nothing else has paused reading."""
        self._pauses -= 1
        if self._pauses == 0 and not self._transport.is_closing():
            self._transport.resume_reading()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._is_text = frame.opcode is Opcode.TEXT
            self._parts = [bytes(frame.data)]
        elif frame.opcode is Opcode.CONT:
            self._parts.append(bytes(frame.data))
        else:
            return
        if frame.fin:
            data, self._parts = b"".join(self._parts), []
            self._message(data)

    def _message(self, data: bytes) -> None:
        if self._connection is None or not self._connection.open:
            return
        if not self._is_text:
            self._gateway.received(self._connection, data)
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self._gateway.close(self._connection, CloseCode.INVALID_DATA, "a text is not UTF-8")
        else:
            self._gateway.received(self._connection, text)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()
                self._end_soon()

    def _end_soon(self) -> None:
        """The connection is closed: the client has a moment to read what was sent, and to say so."""
        if not self._closing:
            self._closing = True
            self._cancel_timer()
            if not self._lost:
                self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._transport.abort)

    def _give_up(self) -> None:
        self._closed(CloseCode.ABNORMAL_CLOSURE, "The client does not read")
        self._transport.abort()

    def _end(self) -> None:
        """The socket is closed: whatever comes of the connection has come."""
        self._closed(CloseCode.ABNORMAL_CLOSURE, "")
        if self._connection is not None:
            self._gateway.lost(self._connection)

    def _closed(self, code: int, reason: str) -> None:
        if self._connection is not None:
            self._gateway.closed(self._connection, code, reason)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _head(scope: Any) -> bytes:
    """The head of a handshake with what the protocol needs of it: the limits for the rest are the gateway's."""
    lines = [f"{scope['method']} / HTTP/{scope['http_version']}".encode()]
    for name, value in scope["headers"]:
        if name in _NEEDED or name.startswith(b"sec-websocket-"):
            lines.append(name + b": " + value)
    return b"\r\n".join([*lines, b"", b""])


def _refusal(answer: Response) -> HandshakeResponse:
    headers = Headers([(name.decode(), value.decode("latin-1")) for name, value in answer.headers])
    headers["Content-Length"] = str(len(answer.body))
    headers["Connection"] = "close"
    phrase = HTTPStatus(answer.status).phrase if answer.status in set(HTTPStatus) else ""
    return HandshakeResponse(answer.status, phrase, headers, answer.body)
