"""The routes behind `faults`: which invocations and answers are to go wrong."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.server import typed_body
from emulator.server.management import PREFIX
from emulator.server.queries import RefusedError, answer
from emulator.service.faults import FaultsError, Shapes
from emulator.service.project import Project


class FaultRoutes:
    """Shows and sets the rules of a running emulator."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route(f"{PREFIX}/faults", self.read, methods=["GET"]),
            Route(f"{PREFIX}/faults", self.set, methods=["PUT"]),
        ]

    async def read(self, _: Request) -> Response:
        """The rules, and how often each has been applied."""
        return answer(self._project.faults.state())

    async def set(self, request: Request) -> Response:
        """Follow these rules in place of those before, from their first random number on."""
        shapes = await typed_body.read(request, Shapes)
        try:
            self._project.faults.set(shapes, self._project.refresh())
        except FaultsError as error:
            raise RefusedError(str(error)) from None
        return answer(self._project.faults.state())
