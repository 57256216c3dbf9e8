"""Function URLs: every request to the address of a function is an event of format 2.0, without a route."""

from __future__ import annotations

import hashlib
from typing import Any

from emulator.containers import Fault, Outcome
from emulator.gateway import cors, payload_v2_event, payload_v2_response
from emulator.gateway.authorization.verdicts import Caller
from emulator.gateway.function_result import error_summary
from emulator.gateway.request import Request
from emulator.gateway.response import Headers, Response, error_response, too_large
from emulator.gateway.routing import Match
from emulator.manifest.model import FunctionUrl, Route


class FunctionUrlApi:
    """The API of one function's URL."""

    timeout = 900.0
    """Seconds. Lambda's longest: a URL has no time limit of its own."""
    id_header: bytes | None = b"x-amzn-requestid"

    def __init__(self, url: FunctionUrl) -> None:
        self._cors = url.cors
        self._route = Route("ANY", "*", url.function, "url", url.line, "aws_iam" if url.signed else None)
        self._id = hashlib.sha256(url.function.arn.encode()).hexdigest()[:32]

    def preflight(self, method: str, _: str, headers: Headers) -> Response | None:
        """Answered when the URL has CORS settings."""
        return cors.preflight(self._cors, method, headers) if self._cors else None

    def match(self, _: Request) -> Match | None:
        """The function, whatever the method and the path."""
        return self._route, {}

    def missing(self) -> Response:
        """404. Every request matches, so nothing asks for it."""
        return error_response(404, "Not Found")

    def too_large(self) -> Response:
        """413."""
        return too_large()

    def event(self, request: Request, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
        """Payload format 2.0, with the path as it was sent and the URL's own domain."""
        event = payload_v2_event.http_api(request, route, parameters)
        event["rawPath"] = request.raw_path
        context = event["requestContext"]
        context["http"]["path"] = request.raw_path
        context |= {
            "accountId": "anonymous",
            "apiId": self._id,
            "authentication": None,
            "domainName": f"{self._id}.lambda-url.{route.function.region}.on.aws",
            "domainPrefix": self._id,
        }
        return event

    def prepare(self, _: Request, __: Route, event: dict[str, Any], ___: Caller | None) -> dict[str, Any] | Response:
        """The event as it is."""
        return event

    def answer(self, _: Request, __: Route, outcome: Outcome | None) -> Response:
        """As an HTTP API in format 2.0, but a failed function is a 502."""
        if outcome is None:
            return _failed("timed out")
        if outcome.fault not in (None, Fault.THROTTLED):
            return _failed("timed out" if outcome.fault is Fault.TIMED_OUT else error_summary(outcome))
        response = payload_v2_response.http_api(outcome)
        malformed = response.status == 500 and response.note  # the gateway's own 500s have a note
        return _failed(response.note) if malformed else response

    def finish(self, headers: Headers, response: Response) -> None:
        """CORS."""
        if self._cors:
            cors.apply(self._cors, headers, response)


def _failed(note: str) -> Response:
    return Response(502, b"Internal Server Error", [(b"content-type", b"application/json")], note)
