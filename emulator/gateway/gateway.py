"""The HTTP side of a project: from request to event, to a function, and back.

Plain ASGI, without Starlette: every request passes here.
"""

from __future__ import annotations

import asyncio
import functools
import math
import time
from collections.abc import Mapping

import msgspec
from starlette.types import Receive, Scope, Send

from emulator.containers import Outcome
from emulator.containers.tasks import Tasks
from emulator.gateway.apis import Api, HttpApi
from emulator.gateway.authorization import authorizers, callers
from emulator.gateway.authorization.authorizers import Authorizer
from emulator.gateway.authorization.verdicts import Caller, Event
from emulator.gateway.bodies import Bodies, ClientGoneError
from emulator.gateway.call import Call
from emulator.gateway.function_url import FunctionUrlApi
from emulator.gateway.load_balancer.alb import AlbApi
from emulator.gateway.request import HEADER_LIMIT, Head, Request, head_size
from emulator.gateway.response import Response, error_response
from emulator.gateway.rest.rest_api import RestApi
from emulator.gateway.routing import Match
from emulator.manifest import addresses
from emulator.manifest.addresses import Address
from emulator.manifest.model import Manifest, Route
from emulator.manifest.yaml.document import ManifestError
from emulator.runtime.handlers import MAX_PAYLOAD
from emulator.service import ids
from emulator.service.project import Project

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
        self._calls = Tasks()
        self._take(project.manifest)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        path = scope["raw_path"].decode("latin-1")
        try:
            response, route = await self._answer(scope, path, receive)
        except ClientGoneError:  # or a client that is only slow: it reads the answer
            response, route = error_response(408, "Request Timeout"), None
        await reply(scope, send, response)
        elapsed = (time.perf_counter() - begun) * 1000
        name = route.function.name if route else ""
        self._project.console.request(scope["method"], path, response.status, elapsed, name, response.note)

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

    async def _answer(self, scope: Scope, path: str, receive: Receive) -> tuple[Response, Route | None]:
        try:
            manifest = self._project.refresh()
        except ManifestError as problem:
            return error_response(500, "Internal Server Error", str(problem)), None
        if manifest is not self._manifest:
            self._take(manifest)
        if head_size(scope) > HEADER_LIMIT:
            return error_response(431, "Request Header Fields Too Large"), None
        api = self._api(scope, path)
        if api is None:
            return error_response(404, "Not Found", "the manifest has no such address any more"), None
        method, headers = scope["method"], scope["headers"]
        if method == "OPTIONS" and (response := api.preflight(method, path, headers)):
            return response, None
        match = api.match(Head.from_scope(scope))
        response = await self._serve(api, match, scope, receive) if match else api.missing()
        api.finish(headers, response)
        return response, match[0] if match else None

    async def _serve(self, api: Api, match: Match, scope: Scope, receive: Receive) -> Response:
        route, parameters = match
        by_name = self._authorizers  # of this route's manifest, which may change while the body arrives
        body = await self._bodies.read(scope["headers"], receive)
        if body is None:
            return api.too_large()
        request = Request.from_scope(scope, body)
        call = Call(request, route, parameters, api.event(request, route, parameters))
        prepared = await _prepared(api, call, by_name)
        if isinstance(prepared, Response):
            return prepared
        payload = _encode(prepared)
        if len(payload) > MAX_PAYLOAD:
            return api.too_large()
        limit = (route.rest and route.rest.timeout) or api.timeout
        if self._manifest.unlimited:
            limit = math.inf
        outcome = await self._invoke(route, request, payload, limit)
        response = api.answer(request, route, outcome)
        if api.id_header is not None:
            response.headers.append((api.id_header, request.id.encode()))
        return response

    async def _invoke(self, route: Route, request: Request, event: bytes, limit: float) -> Outcome | None:
        """The outcome, or None when the gateway's own limit, in seconds, passes before the function is done.

        None, too, for a function that nobody waits for.
        """
        if route.rest is not None and route.rest.asynchronous:
            request_id = ids.invocation()
            attempt = functools.partial(
                self._project.functions.invoke, route.function, event, request.trace_id, request_id=request_id
            )
            self._project.asynchronous.start(route.function, event, request_id, attempt)
            return None
        call = self._project.functions.invoke(route.function, event, request.trace_id)
        if route.function.timeout < limit:
            return await call
        task = self._calls.start(call)
        done, _ = await asyncio.wait((task,), timeout=limit)
        while not done and self._project.functions.containers.paused:
            done, _ = await asyncio.wait((task,), timeout=1)
        return task.result() if done else None


def _own_api(address: Address, manifest: Manifest) -> Api:
    if address.kind == "ALB":
        return AlbApi(manifest, address.name)
    return FunctionUrlApi(next(url for url in manifest.urls if url.function.name == address.name))


async def _prepared(api: Api, call: Call, by_name: Mapping[str, Authorizer]) -> Event | Response:
    """What the function receives, or the response to a request that it may not see."""
    caller: Caller | None = None
    if call.route.authorizer:
        verdict = await by_name[call.route.authorizer].ask(call)
        if isinstance(verdict, Response):
            return verdict
        caller = verdict
        callers.add(call.event, call.route, caller)
    return api.prepare(call.request, call.route, call.event, caller)


async def reply(scope: Scope, send: Send, response: Response) -> None:
    """Send a response, with its length; no body where HTTP allows none."""
    headers = response.headers
    if response.status != 204:
        headers.append((b"content-length", str(len(response.body)).encode()))
    if whole := scope.get("extensions", {}).get(REPLY):
        await whole(response)
    else:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
