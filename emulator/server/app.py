"""The whole application: the gateway, the emulator's own routes, and what happens at start and stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Iterable
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.gateway.bodies import ClientGoneError
from emulator.gateway.gateway import Gateway
from emulator.gateway.websocket.websocket_gateway import WebSocketGateway
from emulator.manifest.yaml.document import ManifestError
from emulator.server import front_page, invoke_api, management, pages
from emulator.server.access import Access
from emulator.server.clock_routes import ClockRoutes
from emulator.server.connections_api import MARK, ConnectionsApi
from emulator.server.fault_routes import FaultRoutes
from emulator.server.functions_api import FunctionsApi
from emulator.server.invoke_api import InvokeApi, ServiceError
from emulator.server.live_connections import LiveConnections
from emulator.server.management import Management
from emulator.server.queries import RefusedError
from emulator.server.recording import RecordingRoutes
from emulator.server.requests_api import RequestsApi
from emulator.service.project import Project

OWN = (invoke_api.PREFIX, management.PREFIX)
"""Paths below these belong to the emulator, whatever routes the manifest has."""


class Application:
    """Requests go straight to the gateway; Starlette serves the emulator's own routes and the lifespan.

    The emulator's own routes answer for a loopback host and for `hosts` only, and to no web page of another origin.
    `routes` are further ones of its own, `page_files` the project's pages.
    """

    def __init__(
        self,
        project: Project,
        gateway: Gateway,
        websockets: WebSocketGateway,
        hosts: Iterable[str] = (),
        routes: Iterable[BaseRoute] = (),
        page_files: Iterable[Path] = (),
    ) -> None:
        """Raises `PageError`."""
        self.project = project
        self._gateway = gateway
        self._connections_api = ConnectionsApi(project, websockets)
        self._access = Access(hosts)
        self._invoke_api = InvokeApi(project)
        self._requests_api = RequestsApi(project, gateway)
        own = [
            *self._invoke_api.routes(),
            *Management(project).routes(),
            *ClockRoutes(project).routes(),
            *FaultRoutes(project).routes(),
            *self._requests_api.routes(),
            *LiveConnections(websockets).routes(),
            *FunctionsApi(project, lambda: [page.path for page in self.pages]).routes(),
            *RecordingRoutes(project.requests).routes(),
            *front_page.routes(),
            *routes,
        ]
        self.pages = pages.of_files(page_files, own)
        self.starlette = Starlette(
            lifespan=self._lifespan,
            routes=[*own, *(page.route() for page in self.pages)],
            exception_handlers={
                ServiceError: _refused,
                RefusedError: _refused,
                ManifestError: _manifest_error,
                ClientGoneError: _client_gone,
                404: _not_served,
            },
        )

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        api: ASGIApp = self.starlette
        if scope["type"] == "http" and (not scope["path"].startswith(OWN) or self._gateway.has_own_port(scope)):
            if MARK not in scope["path"] or not self._is_connections_api(scope):
                return self._gateway(scope, receive, send)
            api = self._connections_api
        if scope["type"] != "lifespan" and (reason := self._access.refusal(scope["method"], Headers(scope=scope))):
            return ServiceError(403, "AccessDeniedException", reason).response()(scope, receive, send)
        return api(scope, receive, send)

    def _is_connections_api(self, scope: Scope) -> bool:
        return self._connections_api.owns(scope["path"]) and not self._gateway.has_own_port(scope)

    def begin_stop(self) -> None:
        """The emulator is asked to stop: clients that are still sending a body have one more second; streams end."""
        self._gateway.begin_stop()
        self._invoke_api.bodies.shorten_deadlines()
        self._requests_api.bodies.shorten_deadlines()
        self.project.requests.close()
        self._connections_api.bodies.shorten_deadlines()

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        await self.project.start()
        yield
        # Not in a finally: a second Ctrl-C cancels this task, and then the stop waits for nothing.
        with contextlib.suppress(asyncio.CancelledError):
            await self.project.schedules.stop()
            await self.project.health_checks.stop()
            await self.project.asynchronous.stop()
            await self.project.functions.containers.stop()
        self.project.console.flush()


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, (ServiceError, RefusedError))
    return error.response()


async def _manifest_error(_: Request, error: Exception) -> Response:
    return JSONResponse({"Type": "Service", "Message": str(error)}, 500, {"x-amzn-ErrorType": "ServiceException"})


async def _client_gone(_: Request, error: Exception) -> Response:
    return JSONResponse({"message": "Request Timeout"}, 408, {"connection": "close"})


async def _not_served(request: Request, _: Exception) -> Response:
    own_issuer = request.url.path.startswith(f"{management.PREFIX}/idp/")
    reason = "the emulator is no identity provider: start it with --identity" if own_issuer else "Not Found"
    return JSONResponse({"message": reason}, 404)
