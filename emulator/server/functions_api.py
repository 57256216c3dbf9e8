"""The routes that tell about functions: their settings, routes and environments, and events to try them with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.gateway import sample_requests
from emulator.manifest.model import Function
from emulator.server.management import PREFIX
from emulator.server.queries import RefusedError, answer, parameters
from emulator.server.secrets import masked
from emulator.service import sample_events
from emulator.service.project import Project
from emulator.service.sample_events import Sender

_SERVICES = (*sample_events.RECORDS, "eventBridge")


class FunctionsApi:
    """Describes the project and its functions."""

    def __init__(self, project: Project, pages: Callable[[], list[str]]) -> None:
        """`pages` are the addresses of the project's own pages."""
        self._project = project
        self._pages = pages

    def routes(self) -> list[Route]:
        """The routes, all below PREFIX."""
        return [
            Route(f"{PREFIX}/functions", self.list, methods=["GET"]),
            Route(f"{PREFIX}/functions/{{name}}/events", self.events, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        """The service, the project's own pages, and every function, with the environments that run now."""
        parameters(request)
        manifest = self._project.refresh()
        found = [self._description(function) for function in manifest.functions.values()]
        return answer(
            {"service": manifest.service, "stage": manifest.stage, "pages": self._pages(), "functions": found}
        )

    async def events(self, request: Request) -> Response:
        """Events to try a function with: those of its own routes first, then those of AWS's services."""
        parameters(request)
        manifest = self._project.refresh()
        function = manifest.function(request.path_params["name"])
        if function is None:
            raise RefusedError(f"there is no function {request.path_params['name']!r}", 404)
        found = [
            {"name": name, "event": event}
            for name, event in sample_requests.events(manifest, function, self._project.clock.time())
        ]
        sender = Sender(function.region)
        found += [{"name": kind, "event": sample_events.event(kind, sender, ['{"id": "1"}'])} for kind in _SERVICES]
        return answer({"events": found})

    def _description(self, function: Function) -> dict[str, Any]:
        figures = self._project.functions.containers.figures(function)
        return {
            "name": function.name,
            "full_name": function.full_name,
            "handler": function.handler,
            "runtime": function.runtime,
            "timeout": function.timeout,
            "memory": function.memory_size,
            "environment": {name: masked(name, value) for name, value in function.environment.items()},
            "routes": [
                {"method": route.method, "path": route.path, "api": route.kind, "authorizer": route.authorizer}
                for route in self._project.manifest.routes
                if route.function.name == function.name
            ],
            "schedules": [one.name for one in self._project.manifest.schedules if one.function.name == function.name],
            "containers": None
            if figures is None
            else {
                "idle": figures.idle,
                "busy": figures.busy,
                "starting": figures.starting,
                "started": figures.started,
                "memory": round(figures.memory / 1024, 1),
            },
        }
