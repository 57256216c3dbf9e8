"""What functions print when they share the emulator's process: one buffer for each thread."""

from __future__ import annotations

import io
import sys
import threading
from typing import TextIO


class Capture(io.TextIOBase):
    """Replaces sys.stdout or sys.stderr, and copies what a function's thread writes to its buffer."""

    def __init__(self, stream: TextIO, buffers: Buffers) -> None:
        self.stream = stream
        self._buffers = buffers

    def write(self, text: str) -> int:
        """Write to the real stream, which a debugger's prompt needs, and to the function's buffer."""
        buffer = self._buffers.current()
        if buffer is not None:
            buffer.write(text)
        return self.stream.write(text)

    def flush(self) -> None:
        """Flush the real stream."""
        self.stream.flush()

    def isatty(self) -> bool:
        """Whether the real stream is a terminal."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """The real stream's descriptor: what is written there is not captured."""
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The real stream's encoding."""
        return self.stream.encoding


class Buffers(threading.local):
    """One buffer for each thread that runs a function."""

    buffer: io.StringIO | None = None

    def install(self) -> None:
        """Replace both streams."""
        sys.stdout = Capture(sys.stdout, self)
        sys.stderr = Capture(sys.stderr, self)

    def uninstall(self) -> None:
        """Put the streams back."""
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if isinstance(stream, Capture):
                setattr(sys, name, stream.stream)

    def current(self) -> io.StringIO | None:
        """This thread's buffer, while it runs a function."""
        return self.buffer

    def open(self) -> None:
        """This thread starts to run a function."""
        self.buffer = io.StringIO()

    def close(self) -> bytes:
        """This thread has run its function; what it printed."""
        buffer, self.buffer = self.buffer, None
        return buffer.getvalue().encode(errors="backslashreplace") if buffer else b""
