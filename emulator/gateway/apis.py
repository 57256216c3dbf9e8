"""What the gateway needs from an API, and HTTP APIs: how one finds a route, builds an event and makes a response."""

from __future__ import annotations

from typing import Any, Protocol

from emulator.containers import Outcome
from emulator.gateway import cors, payload_v1_event, payload_v1_response, payload_v2_event, payload_v2_response
from emulator.gateway.authorization.verdicts import Caller
from emulator.gateway.request import Request
from emulator.gateway.response import Headers, Response, error_response, too_large
from emulator.gateway.routing import Match, Router
from emulator.manifest.model import Manifest, Route


class Api(Protocol):
    """What the gateway needs from an API."""

    timeout: float
    """Seconds that it waits for a function."""
    id_header: bytes | None
    """The response's header with the request's id, if there is one."""

    def preflight(self, method: str, raw_path: str, headers: Headers) -> Response | None:
        """The API's own answer to a CORS preflight."""

    def match(self, request: Request) -> Match | None:
        """The route of a request, whose body may not have been read."""

    def missing(self) -> Response:
        """The answer when there is none."""

    def too_large(self) -> Response:
        """The response to a body over the gateway's limit, or an event over Lambda's."""

    def event(self, request: Request, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
        """The event that the function receives."""

    def prepare(
        self, request: Request, route: Route, event: dict[str, Any], caller: Caller | None
    ) -> dict[str, Any] | Response:
        """What the function receives, or the response to a request that it may not see, whoever calls."""

    def answer(self, request: Request, route: Route, outcome: Outcome | None) -> Response:
        """The response to an outcome; None when the API's own time limit has passed."""

    def finish(self, headers: Headers, response: Response) -> None:
        """Add the headers that every response of this API has."""


class HttpApi:
    """An HTTP API, on the path `/`."""

    timeout = 30.0
    id_header: bytes | None = b"apigw-requestid"

    def __init__(self, manifest: Manifest) -> None:
        self._router = Router(route for route in manifest.routes if route.kind == "httpApi")
        self._cors = manifest.cors

    def preflight(self, method: str, raw_path: str, headers: Headers) -> Response | None:
        """Answered for every path, whether there is a route or not."""
        return cors.preflight(self._cors, method, headers) if self._cors else None

    def match(self, request: Request) -> Match | None:
        """The route of a request."""
        return self._router.match(request.method, request.raw_path)

    def missing(self) -> Response:
        """404."""
        return error_response(404, "Not Found")

    def too_large(self) -> Response:
        """413."""
        return too_large()

    def event(self, request: Request, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
        """Payload format 2.0, or 1.0 where the manifest says so."""
        build = payload_v1_event.http_api if route.payload == "1.0" else payload_v2_event.http_api
        return build(request, route, parameters)

    def prepare(self, _: Request, __: Route, event: dict[str, Any], ___: Caller | None) -> dict[str, Any] | Response:
        """The event as it is."""
        return event

    def answer(self, _: Request, route: Route, outcome: Outcome | None) -> Response:
        """In format 2.0 a result without a status is the body of a 200."""
        if outcome is None:
            return error_response(503, "Service Unavailable", f"over {self.timeout:.0f} s")
        build = payload_v1_response.http_api if route.payload == "1.0" else payload_v2_response.http_api
        return build(outcome)

    def finish(self, headers: Headers, response: Response) -> None:
        """CORS."""
        if self._cors:
            cors.apply(self._cors, headers, response)
