"""Application Load Balancers: a listener forwards a request to the function of its first rule that matches."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from emulator.containers import Outcome
from emulator.gateway.authorization.verdicts import Caller
from emulator.gateway.function_result import (
    TEXT_TYPE,
    MalformedError,
    error_summary,
    headers_of,
    response_of,
    value_of,
)
from emulator.gateway.load_balancer import alb_conditions, alb_event
from emulator.gateway.request import Request
from emulator.gateway.response import Headers, Response
from emulator.gateway.routing import Match
from emulator.manifest.events.alb_model import AlbRule
from emulator.manifest.model import Manifest, Route

MAX_BYTES = 1024 * 1024
"""Of a request's body, and of a function's answer as JSON."""
_BINARY = (b"content-type", b"application/octet-stream")


class AlbApi:
    """One listener."""

    timeout = 900.0
    """Seconds. Lambda's longest: a listener has no shorter limit for functions."""
    id_header: bytes | None = None

    def __init__(self, manifest: Manifest, listener: str) -> None:
        self._rules = [_Rule(one, manifest) for one in manifest.alb_rules if one.listener == listener]

    def preflight(self, method: str, raw_path: str, headers: Headers) -> Response | None:
        """None: a load balancer has no CORS."""

    def match(self, request: Request) -> Match | None:
        """The function of the first rule whose conditions hold."""
        found = next((one for one in self._rules if alb_conditions.hold(one.rule.conditions, request)), None)
        return (found.route, {}) if found else None

    def missing(self) -> Response:
        """404. What a listener does without a rule is not in the manifest."""
        return _page(404, "no rule of this listener matches")

    def too_large(self) -> Response:
        """413."""
        return _page(413, "over the limit")

    def event(self, request: Request, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
        """The event of a target group."""
        return alb_event.build(request, self._rule(route))

    def prepare(
        self, request: Request, route: Route, event: dict[str, Any], _: Caller | None
    ) -> dict[str, Any] | Response:
        """The event, unless the rule asks for a log-in, or the body is too large."""
        if self._rule(route).authorized:
            return _page(401, "the log-in of a load balancer is not emulated")
        return event if len(request.body) <= MAX_BYTES else _page(413, f"over {MAX_BYTES} bytes")

    def answer(self, _: Request, route: Route, outcome: Outcome | None) -> Response:
        """The response that the function describes; 502 for a failure or anything malformed."""
        if outcome is None:
            return _page(502, "timed out")
        if outcome.fault is not None:
            return _page(502, error_summary(outcome))
        if len(outcome.payload) > MAX_BYTES:
            return _page(502, f"the answer is over {MAX_BYTES} bytes")
        try:
            return _response(value_of(outcome), multi_value=self._rule(route).multi_value)
        except (MalformedError, UnicodeError) as problem:
            return _page(502, f"malformed answer: {problem}")

    def finish(self, headers: Headers, response: Response) -> None:
        """Nothing: a load balancer adds no header that matters here."""

    def _rule(self, route: Route) -> AlbRule:
        return next(one.rule for one in self._rules if one.route is route)


class _Rule:
    def __init__(self, rule: AlbRule, manifest: Manifest) -> None:
        self.rule = rule
        self.route = Route("ANY", "*", manifest.functions[rule.function], "alb", rule.line)


def _response(value: Any, *, multi_value: bool) -> Response:
    """Headers are read from `multiValueHeaders` or from `headers`, never from both."""
    if not isinstance(value, dict) or "statusCode" not in value:
        raise MalformedError("statusCode is missing")
    response = response_of({**value, "headers": {} if multi_value else value.get("headers")})
    if multi_value:
        response.headers[:0] = _every(value.get("multiValueHeaders") or {})
    typed = [name for name, _ in response.headers].count(b"content-type")
    if TEXT_TYPE in response.headers:
        response.headers.remove(TEXT_TYPE)
        typed -= 1
    if response.body and not typed:
        response.headers.append(_BINARY)
    return response


def _every(several: Any) -> Headers:
    if not isinstance(several, dict) or not all(isinstance(values, list) for values in several.values()):
        raise MalformedError("multiValueHeaders is not an object of lists")
    return headers_of((name, one) for name, values in several.items() for one in values)


def _page(status: int, note: str) -> Response:
    """A load balancer's own answer: a page in HTML."""
    title = f"{status} {HTTPStatus(status).phrase}"
    text = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
    return Response(status, text.encode(), [(b"content-type", b"text/html")], note)
