"""REST APIs: how one finds a route, builds an event and makes a response."""

from __future__ import annotations

from typing import Any

from emulator.containers import Outcome
from emulator.gateway import media_types, payload_v1_event, payload_v1_response, rest_errors
from emulator.gateway.request import Request
from emulator.gateway.response import Headers, Response
from emulator.gateway.routing import Match, Router
from emulator.manifest.model import Manifest, Route


class RestApi:
    """A REST API, under the path of its stage."""

    timeout = 29.0
    id_header = b"x-amzn-requestid"

    def __init__(self, manifest: Manifest) -> None:
        self.stage = manifest.stage
        self._binary_types = manifest.rest.binary_types
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
        path = self._resource(raw_path)
        allowed = [one for one in (*self.methods, "GET") if self.preflights.match(one, path)]
        return payload_v1_response.preflight(sorted(set(allowed))) if allowed else None

    def match(self, method: str, raw_path: str) -> Match | None:
        """The route of a request, its stage left out."""
        return self.router.match(method, self._resource(raw_path))

    def missing(self) -> Response:
        """403, as REST APIs answer where there is no route."""
        return rest_errors.missing()

    def event(self, request: Request, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
        """Payload format 1.0."""
        path = self._inside(request.raw_path)
        return payload_v1_event.rest_api(request, path, route, parameters, self.stage, self._binary_types)

    def answer(self, request: Request, route: Route, outcome: Outcome | None) -> Response:
        """A result must have every part. One marked as base64 is decoded for clients that accept a binary type."""
        decode = media_types.matches(request.header(b"accept"), self._binary_types)
        return payload_v1_response.rest_api(outcome, decode=decode)

    def finish(self, headers: Headers, response: Response) -> None:
        """Nothing: the functions of a REST API set CORS headers themselves."""

    def _resource(self, raw_path: str) -> str:
        """The path that is matched: a slash at its end makes no difference."""
        return self._inside(raw_path).removesuffix("/") or "/"

    def _inside(self, raw_path: str) -> str:
        return raw_path[len(self.prefix) :] or "/"
