"""Execution environments: the interface through which every function runs.

The gateway, the Invoke API and the schedules call `invoke`. They do not know whether the function then runs in
this process (`inline`), in warm processes of its own (`workers`) or under Amazon's runtime client (`ric`).
"""

from __future__ import annotations

import enum
import json
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

from emulator.manifest.model import Function, Manifest
from emulator.runtime import answers
from emulator.runtime.time_travel import Timeline


class Fault(enum.Enum):
    """Why an invocation has no answer."""

    RAISED = "raised"
    TIMED_OUT = "timed out"
    EXITED = "exited"
    THROTTLED = "throttled"


class Break(enum.Flag):
    """What is to go wrong on purpose with the environment of an invocation."""

    COLD = enum.auto()
    """It starts in a new environment."""
    KILL_BEFORE = enum.auto()
    """The process is killed when it should take the event."""
    KILL_AFTER = enum.auto()
    """The process is killed when it has answered, and the answer is lost."""


@dataclass(slots=True)
class Invocation:
    """What a function is called with: JSON, and what goes into its context."""

    request_id: str
    payload: bytes
    trace_id: str = ""
    client_context: str = ""
    """JSON, as the caller of the Invoke API sent it."""
    breaks: Break | None = None


@dataclass(slots=True)
class Outcome:
    """The result of an invocation: the answer, or with a fault the error object; and the measured figures."""

    frame: bytes
    """JSON; with a `body` beside it, null stands in its place."""
    fault: Fault | None = None
    body: bytes = b""
    """The text of the answer's `body` in UTF-8, when it is large."""
    log: bytes = b""
    shown: bool = False
    """Whether the log has been on the screen already."""
    duration: float = 0.0
    """Milliseconds that the function ran."""
    init: float | None = None
    """Milliseconds that the cold start took, when this was one."""
    memory: int = 0
    """The most resident memory so far, in kilobytes."""

    @property
    def payload(self) -> bytes:
        """The whole answer, or error object, as JSON."""
        return answers.joined(self.frame, self.body)

    @property
    def value(self) -> Any:
        """The whole answer, or error object; its text if it is not JSON or is nested too deeply to be read."""
        payload = self.payload
        try:
            return json.loads(payload)
        except (ValueError, RecursionError):
            return payload.decode(errors="replace")


class TravelError(Exception):
    """Functions cannot be shown another time than the system's; the text says why."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The environments of one function."""

    idle: int
    busy: int
    starting: int
    started: int
    """How many have been started since the manifest was read."""
    memory: int
    """The most resident memory that one of them had while it answered, in kilobytes."""


class Containers(Protocol):
    """Something that runs functions."""

    isolated: bool
    """Whether each function has processes of its own."""

    @property
    def paused(self) -> bool:
        """Whether somebody debugs a function: no time limit counts."""

    async def start(self) -> None:
        """Get ready; called once, with the event loop running."""

    def invoke(self, function: Function, invocation: Invocation) -> Awaitable[Outcome]:
        """Run a function; whatever it does, this returns an Outcome, within its timeout and the queue's."""

    def figures(self, function: Function) -> Figures | None:
        """The function's environments now; None where it has none of its own."""

    def replace(self, manifest: Manifest) -> None:
        """Use a changed manifest from the next invocation on."""

    async def follow(self, timeline: Timeline) -> None:
        """Show functions this time, from their next invocation on at the latest.

        Raises TravelError where they cannot be shown another time than the system's; then nothing has changed.
        """

    async def stop(self) -> None:
        """End every environment; each has a few seconds to run what it registered for its exit."""


def failed(fault: Fault, message: str, kind: str | None = None, **figures: Any) -> Outcome:
    """An outcome with an error object as Lambda's Invoke API returns it."""
    error = {"errorMessage": message}
    if kind:
        error["errorType"] = kind
    return Outcome(json.dumps(error).encode(), fault, **figures)


def timed_out(function: Function, request_id: str, now: int, **figures: Any) -> Outcome:
    """The outcome of an invocation that ran into its time-out; `now` is in nanoseconds since 1970."""
    message = f"{stamp(now / 1e9)} {request_id} Task timed out after {function.timeout:.2f} seconds"
    return failed(Fault.TIMED_OUT, message, duration=function.timeout * 1000.0, **figures)


def stamp(epoch: float) -> str:
    """A time as Lambda writes it in its log and its errors."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch)) + f".{int(epoch * 1000) % 1000:03d}Z"


def exited(request_id: str, reason: str, **figures: Any) -> Outcome:
    """The outcome of an invocation whose process ended; the reason as in `exit status 1`."""
    message = f"RequestId: {request_id} Error: Runtime exited with error: {reason}"
    return failed(Fault.EXITED, message, "Runtime.ExitError", **figures)


def throttled(function: Function) -> Outcome:
    """The outcome when no environment became free in time."""
    return failed(Fault.THROTTLED, f"Rate Exceeded: every environment of {function.name} is busy")
