"""The routes behind `clock`: the time that functions see, and how it is moved."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.containers import TravelError
from emulator.server import typed_body
from emulator.server.management import PREFIX
from emulator.server.queries import RefusedError, answer
from emulator.service import clock
from emulator.service.clock import ClockError
from emulator.service.project import Project
from emulator.service.schedules import Run
from emulator.service.travel import Advance

WENT_BACK = (
    "the clock went back, but the times that functions have stored did not: those of a session never run backwards, so "
    "the next ones may be later than the clock. To go back with everything, load a snapshot from then: `snapshot load`"
)
_PATH = f"{PREFIX}/clock"


class Setting(msgspec.Struct, forbid_unknown_fields=True):
    """Where to set the clock; what is left out stays as it is."""

    at: str | None = None
    running: bool | None = None


class Step(msgspec.Struct, forbid_unknown_fields=True):
    """How far to advance the clock."""

    seconds: float


class ClockRoutes:
    """Reads and moves the clock of a running emulator."""

    def __init__(self, project: Project) -> None:
        self._clock = project.clock
        self._console = project.console
        self._travel = project.travel

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route(_PATH, self.read, methods=["GET"]),
            Route(_PATH, self.set, methods=["PUT"]),
            Route(_PATH, self.reset, methods=["DELETE"]),
            Route(f"{_PATH}/advance", self.advance, methods=["POST"]),
        ]

    async def read(self, _: Request) -> Response:
        """The present."""
        return answer(self._clock.state())

    async def set(self, request: Request) -> Response:
        """Set the clock to a time, let it run, or stop it; schedules in between are not called."""
        setting = await typed_body.read(request, Setting)
        if setting.at is None and setting.running is None:
            raise RefusedError("at or running is missing")
        running = self._clock.running if setting.running is None else setting.running
        try:
            moment = None if setting.at is None else clock.parsed(setting.at)
            back = await self._travel.show(moment, running=running)
        except ClockError as error:
            raise RefusedError(f"at: {error}") from None
        except TravelError as error:
            raise RefusedError(str(error)) from None
        return self._moved(_note(back=back))

    async def reset(self, _: Request) -> Response:
        """Go back to the system's time."""
        back = await self._travel.reset()
        return self._moved(_note(back=back))

    async def advance(self, request: Request) -> Response:
        """Let time pass; the answer says which schedules were called on the way."""
        step = await typed_body.read(request, Step)
        try:
            made = await self._travel.advance(step.seconds)
        except ClockError as error:
            raise RefusedError(f"seconds: {error}") from None
        except TravelError as error:
            raise RefusedError(str(error)) from None
        return self._moved(_made(made))

    def _moved(self, more: dict[str, Any]) -> Response:
        state = self._clock.state()
        self._console.line(f"CLOCK   {state['now']}  {'running' if state['running'] else 'frozen'}")
        return answer(state | more)


def _note(*, back: bool) -> dict[str, Any]:
    return {"note": WENT_BACK} if back else {}


def _made(made: Advance) -> dict[str, Any]:
    shown: dict[str, Any] = {"ran": [_run(one) for one in made.ran]}
    if made.left_out:
        shown["left_out"] = made.left_out
        last = f" after {clock.written(made.ran[-1].due)}" if made.ran else ""
        shown["note"] = f"{len(made.ran)} runs are the most of one advance: what was due{last} did not run"
    return shown


def _run(run: Run) -> dict[str, Any]:
    return {
        "schedule": run.schedule.name,
        "function": run.schedule.function.name,
        "time": clock.written(run.due),
        "result": "ok" if run.outcome.fault is None else run.outcome.fault.value,
    }
