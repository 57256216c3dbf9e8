"""What functions logged: START, their own lines, END and REPORT, as Lambda writes them."""

from __future__ import annotations

import json
import math
from collections import deque
from dataclasses import dataclass

from emulator.containers import Fault, Outcome
from emulator.manifest.model import Function
from emulator.service import platform_events
from emulator.service.console import printed_lines

TAIL = 4096
"""Bytes that the Invoke API returns of a log."""


@dataclass(slots=True)
class Entry:
    """One invocation in the log; its text is made when it is read."""

    number: int
    epoch: float
    function: Function
    request_id: str
    fault: Fault | None
    error: bytes
    """The error object of an invocation that timed out, as JSON; its message is in the log too."""
    output: bytes
    duration: float
    init: float | None
    memory: int

    @classmethod
    def of(cls, number: int, epoch: float, function: Function, request_id: str, outcome: Outcome) -> Entry:
        """The entry of an invocation that ended at this time."""
        return cls(
            number,
            epoch,
            function,
            request_id,
            outcome.fault,
            outcome.payload if outcome.fault is Fault.TIMED_OUT else b"",
            outcome.log,
            outcome.duration,
            outcome.init,
            outcome.memory,
        )

    def text(self) -> str:
        """All lines, each ended by a line break."""
        output = self.output.decode(errors="replace")
        if output and not output.endswith("\n"):
            output += "\n"
        return f"{self._start()}{output}{self._end()}"

    def _start(self) -> str:
        logs = self.function.logs
        if logs.json:
            return platform_events.start(logs.system_level, self.epoch - self.duration / 1000, self.request_id)
        return f"START RequestId: {self.request_id} Version: $LATEST\n"

    def _end(self) -> str:
        logs = self.function.logs
        if logs.json:
            metrics = self._metrics()
            return platform_events.end(logs.system_level, self.epoch, self.request_id, self.fault, metrics)
        return f"{self._fault()}END RequestId: {self.request_id}\n{self.report()}\n"

    def shown(self) -> str:
        """The same for a terminal.

        What the function printed is indented and made harmless, so that it cannot forge the lines around it.
        """
        lines = printed_lines(self.output.decode(errors="replace"))
        output = "".join(f"  {line}\n" for line in lines)
        return f"{self._start()}{output}{self._end()}"

    def report(self) -> str:
        """The REPORT line: every figure as measured, billed in whole milliseconds."""
        parts = [
            f"REPORT RequestId: {self.request_id}",
            f"Duration: {self.duration:.2f} ms",
            f"Billed Duration: {self._billed()} ms",
            f"Memory Size: {self.function.memory_size} MB",
            f"Max Memory Used: {math.ceil(self.memory / 1024)} MB",
        ]
        if self.init is not None:
            parts.append(f"Init Duration: {self.init:.2f} ms")
        if self.fault is Fault.TIMED_OUT:
            parts.append("Status: timeout")
        return "\t".join(parts) + "\t"

    def _metrics(self) -> dict[str, float]:
        metrics = {
            "durationMs": round(self.duration, 3),
            "billedDurationMs": self._billed(),
            "memorySizeMB": self.function.memory_size,
            "maxMemoryUsedMB": math.ceil(self.memory / 1024),
        }
        return metrics if self.init is None else metrics | {"initDurationMs": round(self.init, 3)}

    def _billed(self) -> int:
        return math.ceil(self.duration + (self.init or 0))

    def _fault(self) -> str:
        if self.fault is Fault.TIMED_OUT:
            return f"{json.loads(self.error)['errorMessage']}\n"
        if self.fault is Fault.EXITED:
            return f"RequestId: {self.request_id} Error: Runtime exited\n"
        return ""

    def tail(self) -> bytes:
        """The end of the log, as the Invoke API returns it."""
        return self.text().encode()[-TAIL:]


class LogBook:
    """The latest invocations, bounded in number and in bytes."""

    ENTRIES = 1000
    BYTES = 8 * 1024 * 1024

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self.written = 0
        self._bytes = 0

    def record(self, function: Function, request_id: str, outcome: Outcome, epoch: float) -> Entry:
        """Keep an invocation that has ended now, by `epoch`, and drop the oldest ones that are too many."""
        self.written += 1
        entry = Entry.of(self.written, epoch, function, request_id, outcome)
        self._entries.append(entry)
        self._bytes += len(entry.output)
        while len(self._entries) > self.ENTRIES or self._bytes > self.BYTES:
            self._bytes -= len(self._entries.popleft().output)
        return entry

    def of(self, request_id: str) -> bytes:
        """The end of one invocation's log, which must be among the latest."""
        return next((entry.tail() for entry in reversed(self._entries) if entry.request_id == request_id), b"")

    def since(self, number: int, name: str | None = None) -> list[Entry]:
        """The entries after this number, of one function or of all."""
        return [
            entry
            for entry in self._entries
            if entry.number > number and (name is None or name in (entry.function.name, entry.function.full_name))
        ]
