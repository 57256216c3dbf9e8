"""Invocations from every source: each gets an id and an entry in the log, and its output goes to the console."""

from __future__ import annotations

from emulator.containers import Containers, Invocation, Outcome
from emulator.manifest.model import Function
from emulator.service import fault_injection, ids
from emulator.service.clock import Clock
from emulator.service.console import Console
from emulator.service.faults import Faults, Rule
from emulator.service.logs import Entry, LogBook


class Functions:
    """Runs functions, and records what they logged."""

    def __init__(self, containers: Containers, logs: LogBook, console: Console) -> None:
        self.containers = containers
        self.logs = logs
        self.clock = Clock(containers)
        self.faults = Faults(isolated=containers.isolated)
        self._console = console

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
        invocation = Invocation(request_id or ids.invocation(), payload, trace_id, client_context)
        if self.faults.rules and (rules := self.faults.draw(function)):
            outcome = await self._invoke_broken(function, invocation, rules)
        else:
            outcome = await self.containers.invoke(function, invocation)
        entry = self.logs.record(function, invocation.request_id, outcome, self.clock.time())
        self._show(function, outcome, entry)
        return outcome

    async def _invoke_broken(self, function: Function, invocation: Invocation, rules: list[Rule]) -> Outcome:
        kinds = ", ".join(rule.kind for rule in rules)
        self._console.line(f"FAULT   {function.full_name}  {kinds}  {function.name}")
        return await fault_injection.invoke(self.containers, function, invocation, rules, self.clock)

    def _show(self, function: Function, outcome: Outcome, entry: Entry) -> None:
        if outcome.init is not None:
            self._console.line(f"  {function.name} | cold start, {outcome.init:.0f} ms")
        if entry.output and not outcome.shown:
            self._console.output(function.name, entry.output.decode(errors="replace"))
