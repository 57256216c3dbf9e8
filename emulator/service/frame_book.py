"""The latest WebSocket messages in both directions: kept for whoever looks, bounded in number and in bytes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

FRAME_BYTES = 300
"""What a frame takes besides its data."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of a connection."""

    number: int
    """1, 2, 3, … over all connections."""
    connection: str
    epoch: float
    direction: Literal["in", "out"]
    """`in`: from the client; `out`: to it."""
    data: str | bytes


class FrameBook:
    """The latest messages."""

    NUMBER = 2000
    BYTES = 16 * 1024 * 1024

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self.last = 0
        """The number of the newest message."""

    def add(self, connection: str, epoch: float, direction: Literal["in", "out"], data: str | bytes) -> None:
        """Keep a message, and drop the oldest ones that are too many."""
        self.last += 1
        self._frames.append(Frame(self.last, connection, epoch, direction, data))
        self._bytes += len(data) + FRAME_BYTES
        while len(self._frames) > self.NUMBER or self._bytes > self.BYTES:
            self._bytes -= len(self._frames.popleft().data) + FRAME_BYTES

    def since(self, number: int) -> list[Frame]:
        """The messages after this number, the oldest first."""
        return [frame for frame in self._frames if frame.number > number]
