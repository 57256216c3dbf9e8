"""Invocations, whoever asks for them: each gets an id, a place in the log, and its output on the screen."""

from __future__ import annotations

import os

from emulator.console import Console
from emulator.containers import Containers, Invocation, Outcome
from emulator.logs import Entry, LogBook
from emulator.manifest import Function


class Functions:
    """Runs functions, and keeps what they had to say."""

    def __init__(self, containers: Containers, logs: LogBook, console: Console) -> None:
        self.containers = containers
        self.logs = logs
        self.console = console

    async def invoke(
        self,
        function: Function,
        payload: bytes,
        trace_id: str = "",
        *,
        client_context: str = "",
        request_id: str | None = None,
    ) -> Outcome:
        """Run a function with a JSON payload."""
        invocation = Invocation(request_id or new_id(), payload, trace_id, client_context)
        outcome = await self.containers.invoke(function, invocation)
        entry = self.logs.record(function, invocation.request_id, outcome)
        self._show(function, outcome, entry)
        return outcome

    def _show(self, function: Function, outcome: Outcome, entry: Entry) -> None:
        if outcome.init is not None:
            self.console.line(f"  {function.name} | cold start, {outcome.init:.0f} ms")
        if entry.output and not outcome.shown:
            self.console.output(function.name, entry.output.decode(errors="replace"))


def new_id() -> str:
    """A request id as Lambda's are: a random UUID, made the quick way."""
    digits = bytearray(os.urandom(16))
    digits[6] = digits[6] & 0x0F | 0x40
    digits[8] = digits[8] & 0x3F | 0x80
    text = digits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
