"""The HTTP side of a project: from request to event, to a function, and back.

Plain ASGI, without Starlette: every request passes here.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Mapping

import msgspec
from starlette.types import Receive, Scope, Send

from emulator.containers import Outcome
from emulator.gateway.apis import Api, HttpApi
from emulator.gateway.authorization import authorizers, callers
from emulator.gateway.authorization.verdicts import Caller, Verdict
from emulator.gateway.bodies import Bodies, ClientGoneError
from emulator.gateway.call import Call
from emulator.gateway.function_url import FunctionUrlApi
from emulator.gateway.limited_calls import LimitedCalls
from emulator.gateway.load_balancer.alb import AlbApi
from emulator.gateway.request import HEADER_LIMIT, Request
from emulator.gateway.response import Response, error_response
from emulator.gateway.rest.rest_api import RestApi
from emulator.gateway.routing import Match
from emulator.manifest import addresses
from emulator.manifest.addresses import Address
from emulator.manifest.model import Manifest, Route
from emulator.manifest.yaml.document import ManifestError
from emulator.runtime.handlers import MAX_PAYLOAD
from emulator.service import faults, ids
from emulator.service.project import Project
from emulator.service.request_book import Authorization, Record

REPLY = "emulator.reply"
"""The name of the server's extension of ASGI that sends a response whole."""

_encode = msgspec.json.Encoder().encode


class Gateway:
    """Serves the HTTP API and the REST API of a project's current manifest."""

    def __init__(self, project: Project, own_ports: Mapping[int, Address] | None = None) -> None:
        """`own_ports` are the further ports at which requests arrive, each with what has its address there."""
        self._project = project
        self._own_ports = own_ports or {}
        self._bodies = Bodies()
        self._calls = LimitedCalls(project)
        self._take(project.manifest)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.serve(scope, receive, send)

    async def serve(self, scope: Scope, receive: Receive, send: Send, original: int = 0) -> Record:
        """Answer a request; it is recorded, with the number of the one that it repeats."""
        begun = time.perf_counter()
        request = Request.from_scope(scope, self._project.clock.time())
        record = _record(request, begun, original)
        try:
            if self._project.faults.rules:
                response = await self._answer_with_faults(request, record, scope, receive)
            else:
                response = await self._answer(request, record, scope, receive)
        except ClientGoneError:  # or a client that is only slow: it reads the answer
            response = error_response(408, "Request Timeout")
        await reply(scope, send, response)
        elapsed = record.milliseconds = (time.perf_counter() - begun) * 1000
        record.status, record.note = response.status, response.note
        record.answer_headers, record.answer = response.headers, response.body
        self._project.requests.add(record)
        name = record.route.function.name if record.route else ""
        self._project.console.request(request.method, request.raw_path, response.status, elapsed, name, response.note)
        return record

    def has_own_port(self, scope: Scope) -> bool:
        """Whether a request came to a function URL or to a load balancer's listener."""
        return bool(self._own_ports) and scope["server"][1] in self._own_ports

    def begin_stop(self) -> None:
        """The emulator is asked to stop: clients that are still sending a body have one more second."""
        self._bodies.shorten_deadlines()

    def _take(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._authorizers = authorizers.of_manifest(manifest, self._project.functions)
        self._http: Api = HttpApi(manifest)
        self._rest = RestApi(manifest)
        self._own = {address: _own_api(address, manifest) for address in addresses.of_manifest(manifest)}
        for address in self._own.keys() - set(self._own_ports.values()):
            self._project.console.line(f"{address} now: start the emulator again to serve it")

    def _api(self, scope: Scope, path: str) -> Api | None:
        """The API that a request is for, None if the manifest has it no more."""
        if self.has_own_port(scope):
            return self._own.get(self._own_ports[scope["server"][1]])
        return self._rest if self._rest.owns(path) else self._http

    async def _answer(self, request: Request, record: Record, scope: Scope, receive: Receive) -> Response:
        try:
            manifest = self._project.refresh()
        except ManifestError as problem:
            return error_response(500, "Internal Server Error", str(problem))
        if manifest is not self._manifest:
            self._take(manifest)
        if request.head_size > HEADER_LIMIT:
            return error_response(431, "Request Header Fields Too Large")
        api = self._api(scope, request.raw_path)
        if api is None:
            return error_response(404, "Not Found", "the manifest has no such address any more")
        method, headers = request.method, request.headers
        if method == "OPTIONS" and (response := api.preflight(method, request.raw_path, headers)):
            return response
        match = api.match(request)
        response = await self._serve(api, match, request, record, receive) if match else api.missing()
        api.finish(headers, response)
        return response

    async def _answer_with_faults(self, request: Request, record: Record, scope: Scope, receive: Receive) -> Response:
        with faults.exchange(record) as exchange:
            response = await self._answer(request, record, scope, receive)
        if exchange.kinds:
            text = ", ".join(exchange.kinds)
            response.headers.append((faults.HEADER.lower().encode(), text.encode()))
            response.note = f"fault: {text}{f', {response.note}' if response.note else ''}"
            response.lost = exchange.lost
        return response

    async def _serve(self, api: Api, match: Match, request: Request, record: Record, receive: Receive) -> Response:
        route, parameters = match
        record.route = route
        by_name = self._authorizers  # of this route's manifest, which may change while the body arrives
        body = await self._bodies.read(request.headers, receive)
        if body is None:
            return api.too_large()
        request.body = record.body = body
        event = api.event(request, route, parameters)
        caller: Caller | None = None
        if name := route.authorizer:
            begun = time.perf_counter()
            verdict = await by_name[name].ask(Call(request, route, parameters, event))
            record.authorization = _authorization(name, verdict, begun)
            if isinstance(verdict, Response):
                return verdict
            caller = verdict
            callers.add(event, route, caller)
        prepared = api.prepare(request, route, event, caller)
        if isinstance(prepared, Response):
            return prepared
        payload = _encode(prepared)
        if len(payload) > MAX_PAYLOAD:
            return api.too_large()
        limit = (route.rest and route.rest.timeout) or api.timeout
        if self._manifest.unlimited:
            limit = math.inf
        record.event, record.request_id, record.invoked = payload, ids.invocation(), time.perf_counter()
        outcome = record.outcome = await self._invoke(route, request, payload, record.request_id, limit)
        record.returned = time.perf_counter()
        response = api.answer(request, route, outcome)
        if api.id_header is not None:
            response.headers.append((api.id_header, request.id.encode()))
        return response

    async def _invoke(
        self, route: Route, request: Request, event: bytes, request_id: str, limit: float
    ) -> Outcome | None:
        """The outcome, or None when the gateway's own limit, in seconds, passes before the function is done.

        None, too, for a function that nobody waits for.
        """
        if route.rest is not None and route.rest.asynchronous:
            attempt = functools.partial(
                self._project.functions.invoke, route.function, event, request.trace_id, request_id=request_id
            )
            self._project.asynchronous.start(route.function, event, request_id, attempt)
            return None
        call = self._project.functions.invoke(route.function, event, request.trace_id, request_id=request_id)
        return await self._calls.outcome(route.function, call, limit)


def _own_api(address: Address, manifest: Manifest) -> Api:
    if address.kind == "ALB":
        return AlbApi(manifest, address.name)
    return FunctionUrlApi(next(url for url in manifest.urls if url.function.name == address.name))


def _record(request: Request, begun: float, original: int) -> Record:
    return Record(
        request.method,
        request.raw_path,
        request.query.encode("latin-1"),
        request.headers,
        request.sent_names,
        request.port,
        request.source_ip,
        begun,
        request.epoch,
        original=original,
    )


def _authorization(name: str, verdict: Verdict, begun: float) -> Authorization:
    ended = time.perf_counter()
    if isinstance(verdict, Response):
        return Authorization(name, False, verdict.note, None, {}, begun, ended)
    return Authorization(name, True, "", verdict.principal, verdict.values, begun, ended)


async def reply(scope: Scope, send: Send, response: Response) -> None:
    """Send a response, with its length; no body where HTTP allows none."""
    headers = response.headers
    if response.status != 204:
        headers.append((b"content-length", str(len(response.body)).encode()))
    if whole := scope.get("extensions", {}).get(REPLY):
        await whole(response)
    elif not response.lost:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
