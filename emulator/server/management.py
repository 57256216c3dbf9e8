"""The routes behind `logs` and `schedules`, which ask a running emulator."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulator.manifest.model import Schedule
from emulator.server.queries import number
from emulator.service import clock
from emulator.service.project import Project

PREFIX = "/_emulator"


class Management:
    """Logs and schedules of a running emulator."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def routes(self) -> list[Route]:
        """The routes, all below PREFIX."""
        return [
            Route(f"{PREFIX}/logs", self.logs, methods=["GET"]),
            Route(f"{PREFIX}/schedules", self.schedules, methods=["GET"]),
            Route(f"{PREFIX}/schedules/{{name}}/runs", self.run, methods=["POST"]),
        ]

    async def schedules(self, _: Request) -> Response:
        """Every schedule of the manifest."""
        self._project.refresh()
        found = self._project.manifest.schedules
        return JSONResponse({"schedules": [self._schedule(one) for one in found]})

    def _schedule(self, schedule: Schedule) -> dict[str, Any]:
        due = self._project.schedules.next_time(schedule)
        return {
            "name": schedule.name,
            "function": schedule.function.name,
            "expression": schedule.expression,
            "timezone": schedule.timezone,
            "enabled": schedule.enabled,
            "next": due and clock.written(due),
        }

    async def run(self, request: Request) -> Response:
        """Call a schedule's function now, enabled or not."""
        self._project.refresh()
        schedule = self._project.schedules.known.get(request.path_params["name"])
        if schedule is None:
            return JSONResponse({"message": "no such schedule"}, 404)
        outcome = await self._project.schedules.run(schedule)
        return Response(outcome.payload, 200 if outcome.fault is None else 500, media_type="application/json")

    async def logs(self, request: Request) -> Response:
        """The log after entry number `after`, of one function or of all."""
        after = number(request.query_params, "after", 0)
        book = self._project.functions.logs
        name = request.query_params.get("function")
        function = self._project.manifest.function(name) if name else None
        if name and function is None and not book.since(0, name):  # one of an earlier manifest may have entries
            return JSONResponse({"message": f"there is no function {name!r}"}, 404)
        entries = book.since(after, function.name if function else name)
        lines = [{"number": entry.number, "function": entry.function.name, "text": entry.shown()} for entry in entries]
        return JSONResponse({"last": book.written, "entries": lines})
