"""A connection's socket that keeps what is sent in a FrameBook."""

from __future__ import annotations

from collections.abc import Callable

from emulator.gateway.websocket.connection import Socket
from emulator.service.frame_book import FrameBook


class RecordedSocket:
    """Passes everything on to the real socket."""

    def __init__(self, socket: Socket, connection_id: str, book: FrameBook, now: Callable[[], float]) -> None:
        self._socket = socket
        self._id = connection_id
        self._book = book
        self._now = now
        self.close = socket.close
        self.pause = socket.pause
        self.resume = socket.resume

    @property
    def full(self) -> bool:
        """Whether the client does not read what it has been sent."""
        return self._socket.full

    def send(self, data: str | bytes) -> None:
        """Send one message, and keep it."""
        self._book.add(self._id, self._now(), "out", data)
        self._socket.send(data)
