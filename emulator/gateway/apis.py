"""The two kinds of API on one port: how each finds a route, builds an event and makes a response."""

from __future__ import annotations

from typing import Any, Protocol

from emulator.containers import Outcome
from emulator.gateway import cors, payload_v1_event, payload_v1_response, payload_v2_event, payload_v2_response
from emulator.gateway.request import Request
from emulator.gateway.response import Headers, Response, error_response
from emulator.gateway.routing import Match, Router
from emulator.manifest.model import Manifest, Route


class Api(Protocol):
    """What the gateway needs from an API."""

    timeout: float
    """Seconds that it waits for a function."""

    def preflight(self, method: str, raw_path: str, headers: Headers) -> Response | None:
        """The API's own answer to a CORS preflight."""

    def match(self, method: str, raw_path: str) -> Match | None:
        """The route of a request."""

    def missing(self) -> Response:
        """The answer when there is none."""

    def event(self, request: Request, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
        """The event that the function receives."""

    def answer(self, route: Route, outcome: Outcome | None) -> Response:
        """The response to an outcome; None when the API's own time limit has passed."""

    def finish(self, headers: Headers, response: Response) -> None:
        """Add the headers that every response of this API has."""


class HttpApi:
    """An HTTP API, on the path `/`."""

    timeout = 30.0

    def __init__(self, manifest: Manifest) -> None:
        self.router = Router(route for route in manifest.routes if route.kind == "httpApi")
        self.cors = manifest.cors

    def preflight(self, method: str, raw_path: str, headers: Headers) -> Response | None:
        """Answered for every path, whether there is a route or not."""
        return cors.preflight(self.cors, method, headers) if self.cors else None

    def match(self, method: str, raw_path: str) -> Match | None:
        """The route of a request."""
        return self.router.match(method, raw_path)

    def missing(self) -> Response:
        """404."""
        return error_response(404, "Not Found")

    def event(self, request: Request, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
        """Payload format 2.0, or 1.0 where the manifest says so."""
        build = payload_v1_event.http_api if route.payload == "1.0" else payload_v2_event.http_api
        return build(request, route, parameters)

    def answer(self, route: Route, outcome: Outcome | None) -> Response:
        """In format 2.0 a result without a status is the body of a 200."""
        if outcome is None:
            return error_response(503, "Service Unavailable", f"over {self.timeout:.0f} s")
        build = payload_v1_response.http_api if route.payload == "1.0" else payload_v2_response.http_api
        return build(outcome)

    def finish(self, headers: Headers, response: Response) -> None:
        """CORS."""
        if self.cors:
            cors.apply(self.cors, headers, response)


class RestApi:
    """A REST API, under the path of its stage."""

    timeout = 29.0

    def __init__(self, manifest: Manifest) -> None:
        self.stage = manifest.stage
        self.prefix = f"/{manifest.stage}"
        routes = [route for route in manifest.routes if route.kind == "http"]
        self.router = Router(routes)
        self.preflights = Router(route for route in routes if route.cors)
        self.methods = sorted({route.method for route in routes})
        self.serves = bool(routes)

    def owns(self, raw_path: str) -> bool:
        """Whether a path is one of this API's."""
        return self.serves and (raw_path == self.prefix or raw_path.startswith(f"{self.prefix}/"))

    def preflight(self, method: str, raw_path: str, headers: Headers) -> Response | None:
        """Answered for the routes that have `cors`, by an OPTIONS method that the framework adds."""
        if method != "OPTIONS" or self.match(method, raw_path):
            return None
        path = self._inside(raw_path)
        allowed = [one for one in (*self.methods, "GET") if self.preflights.match(one, path)]
        return payload_v1_response.preflight(sorted(set(allowed))) if allowed else None

    def match(self, method: str, raw_path: str) -> Match | None:
        """The route of a request, its stage left out."""
        return self.router.match(method, self._inside(raw_path))

    def missing(self) -> Response:
        """403, as REST APIs answer where there is no route."""
        return error_response(403, "Missing Authentication Token")

    def event(self, request: Request, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
        """Payload format 1.0."""
        return payload_v1_event.rest_api(request, self._inside(request.raw_path), route, parameters, self.stage)

    def answer(self, route: Route, outcome: Outcome | None) -> Response:
        """A result must have every part; nothing is inferred."""
        return payload_v1_response.rest_api(outcome)

    def finish(self, headers: Headers, response: Response) -> None:
        """Nothing: the functions of a REST API set CORS headers themselves."""

    def _inside(self, raw_path: str) -> str:
        return raw_path[len(self.prefix) :] or "/"
