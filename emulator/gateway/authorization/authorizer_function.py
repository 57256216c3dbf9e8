"""The function of a Lambda authorizer: called with its event, its answers kept for the authorizer's time to live."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from emulator.containers import Outcome
from emulator.gateway.authorization.expiring_cache import ExpiringCache
from emulator.gateway.authorization.verdicts import Event
from emulator.manifest.model import Function
from emulator.service.functions import Functions


class AuthorizerError(Exception):
    """A function that failed or answered something malformed; the text says which, for the console."""

    def __init__(self, note: str, raised: str = "") -> None:
        super().__init__(note)
        self.raised = raised
        """The message of what the function raised."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the function says, and how long it took: no time for an answer that was kept."""

    value: Event
    milliseconds: int = 0


class AuthorizerFunction:
    """Keeps answers for `ttl` seconds, each by the identity that it is about. A malformed answer is never kept."""

    def __init__(self, function: Function, functions: Functions, ttl: float, usable: Callable[[Event], bool]) -> None:
        self._function = function
        self._functions = functions
        self._usable = usable
        self._kept: ExpiringCache[tuple[str, ...], Event] = ExpiringCache(ttl, lambda: functions.clock.monotonic())

    async def ask(self, identity: tuple[str, ...], event: Event) -> Answer:
        """The answer about this identity; an empty identity is asked about each time. Raises AuthorizerError."""
        kept = self._kept.get(identity) if identity else None
        if kept is not None:
            return Answer(kept)
        outcome = await self._functions.invoke(self._function, json.dumps(event).encode())
        if outcome.fault is not None:
            raise AuthorizerError("the authorizer failed", str(_object(outcome).get("errorMessage", "")))
        answer = _object(outcome)
        if not self._usable(answer):
            raise AuthorizerError("the authorizer's answer is malformed")
        self._kept.put(identity, answer)
        return Answer(answer, round(outcome.duration))


def _object(outcome: Outcome) -> Event:
    """The answer; an empty object for one that is none."""
    answer = outcome.value
    return answer if isinstance(answer, dict) else {}
