"""One connection of a WebSocket API, apart from its protocol."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

from emulator.gateway.payload_v1_event import domain
from emulator.gateway.request import Request
from emulator.service import ids

MAX_MESSAGE = 131_072
"""Bytes of a message, in both directions."""
MAX_FRAME = 32_768
"""Bytes of a frame that a client sends."""

NORMAL, GOING_AWAY = 1000, 1001
"""Codes with which a connection is closed (RFC 6455, section 7.4.1)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a connection may live, in seconds."""

    idle: float = 600.0
    """Without a frame in either direction."""
    life: float = 7200.0


class Socket(Protocol):
    """The protocol's side of a connection."""

    @property
    def full(self) -> bool:
        """Whether the client does not read what it has been sent: nothing more should be."""

    def send(self, data: str | bytes) -> None:
        """Send one message: a text frame or a binary one."""

    def close(self, code: int, reason: str = "") -> None:
        """Close the connection; what arrives from now on is dropped."""

    def pause(self) -> None:
        """Read no further messages."""

    def resume(self) -> None:
        """Read on."""


@dataclass(slots=True, eq=False)
class Connection:
    """A client, from its handshake on."""

    socket: Socket
    source_ip: str
    user_agent: str | None
    host: str
    """The Host header of the handshake."""
    stage: str
    id: str = field(default_factory=ids.request)
    connected_at: int = 0
    """Milliseconds since 1970."""
    begun: float = 0.0
    """When the handshake began; like `last_active` in seconds of the clock's `monotonic`."""
    last_active: float = 0.0
    """When a frame was sent or received."""
    subprotocol: str | None = None
    authorizer: dict[str, Any] | None = None
    """What every event has at `requestContext.authorizer`."""
    open: bool = False
    """Whether the handshake is complete and nobody has closed the connection."""
    running: int = 0
    """How many messages are being processed."""
    waiting: deque[str | bytes] | None = None
    """The messages that have arrived and that nothing processes yet."""
    ending: tuple[int, str] | None = None
    """The code and the reason of a connection that is closed and whose messages are processed first."""

    @classmethod
    def from_handshake(cls, request: Request, socket: Socket, stage: str, begun: float) -> Connection:
        """The connection that a handshake asks for, which began at this reading of the clock's `monotonic`."""
        return cls(
            socket,
            request.source_ip,
            request.header(b"user-agent") or None,
            request.header(b"host") or "localhost",
            stage,
            connected_at=int(request.epoch * 1000),
            begun=begun,
            last_active=begun,
        )

    @property
    def domain(self) -> str:
        """The host without its port."""
        return domain(self.host)
