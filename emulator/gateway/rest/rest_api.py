"""REST APIs: how one finds a route, builds an event and makes a response."""

from __future__ import annotations

from typing import Any

from emulator.containers import Outcome
from emulator.gateway import media_types, payload_v1_event, payload_v1_response
from emulator.gateway.authorization.verdicts import Caller
from emulator.gateway.request import Request
from emulator.gateway.response import Headers, Response
from emulator.gateway.rest import api_keys, lambda_integration, request_validation, rest_errors
from emulator.gateway.rest.rest_preflights import Preflights
from emulator.gateway.routing import Match, ResourceRouter
from emulator.manifest.events.rest_model import RestMethod
from emulator.manifest.model import Manifest, Route


class RestApi:
    """A REST API, under the path of its stage."""

    timeout = 29.0
    id_header: bytes | None = b"x-amzn-requestid"

    def __init__(self, manifest: Manifest) -> None:
        self._stage = manifest.rest_stage
        self._settings = manifest.rest
        self._prefix = f"/{self._stage}"
        routes = [route for route in manifest.routes if route.kind == "http"]
        own = {route.path for route in routes if route.method == "OPTIONS"}
        self._preflights = Preflights(route for route in routes if route.path not in own)
        self._router = ResourceRouter([*routes, *self._preflights.routes])
        self._serves = bool(routes)

    def owns(self, raw_path: str) -> bool:
        """Whether a path is one of this API's."""
        return self._serves and (raw_path == self._prefix or raw_path.startswith(f"{self._prefix}/"))

    def preflight(self, method: str, raw_path: str, headers: Headers) -> Response | None:
        """Answered for the paths of routes that have `cors`, unless there is a route for OPTIONS."""
        match = self._router.match(method, self._resource(raw_path))
        if match is None or match[0] not in self._preflights.routes:
            return None
        return self._preflights.answer(match[0].path, headers)

    def match(self, request: Request) -> Match | None:
        """The route of a request, its stage left out."""
        return self._router.match(request.method, self._resource(request.raw_path))

    def missing(self) -> Response:
        """403, as REST APIs answer where there is no route."""
        return rest_errors.missing()

    def too_large(self) -> Response:
        """413."""
        return rest_errors.too_large()

    def event(self, request: Request, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
        """Payload format 1.0."""
        path = self._inside(request.raw_path)
        return payload_v1_event.rest_api(request, path, route, parameters, self._stage, self._settings.binary_types)

    def prepare(
        self, request: Request, route: Route, event: dict[str, Any], caller: Caller | None
    ) -> dict[str, Any] | Response:
        """The checks after the authorizer: an API key, then the rules of the request. Then the mapping, if any."""
        method = _method(route)
        if method.unavailable is not None:
            return rest_errors.error(501, "Not Implemented", "NotImplementedException", method.unavailable)
        if method.private:
            key = caller.api_key if caller else None
            if refused := api_keys.refusal(self._settings, request, event, key):
                return refused
        if refused := request_validation.refusal(method.rules, request, event):
            return refused
        return lambda_integration.event_of(request, event, method.claims) if method.integration == "lambda" else event

    def answer(self, request: Request, route: Route, outcome: Outcome | None) -> Response:
        """A result must have every part. One marked as base64 is decoded for clients that accept a binary type."""
        method = _method(route)
        if method.asynchronous:
            return lambda_integration.accepted(method.cors)
        if method.integration == "lambda":
            return lambda_integration.answer(outcome, method.cors)
        decode = media_types.matches(request.header(b"accept"), self._settings.binary_types)
        return payload_v1_response.rest_api(outcome, decode=decode)

    def finish(self, headers: Headers, response: Response) -> None:
        """Nothing: the functions of a REST API set CORS headers themselves."""

    def _resource(self, raw_path: str) -> str:
        """The path that is matched: a slash at its end makes no difference."""
        return self._inside(raw_path).removesuffix("/") or "/"

    def _inside(self, raw_path: str) -> str:
        return raw_path[len(self._prefix) :] or "/"


def _method(route: Route) -> RestMethod:
    return route.rest or RestMethod()
