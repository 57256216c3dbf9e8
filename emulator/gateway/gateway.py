"""The gateway: from request to event, to a function, and back. Plain ASGI, as every request passes here."""

from __future__ import annotations

import asyncio
import time

import msgspec
from starlette.types import Receive, Scope, Send

from emulator.containers import Outcome
from emulator.containers.watch import Watch
from emulator.gateway import payload_v2_event, payload_v2_response, requests
from emulator.gateway.apis import Api, HttpApi, RestApi
from emulator.gateway.authorizers import Authorizers
from emulator.gateway.bodies import Bodies, ClientGoneError
from emulator.gateway.payload_v2_response import Response
from emulator.gateway.requests import Request
from emulator.gateway.routing import Match
from emulator.manifest.document import ManifestError
from emulator.manifest.loader import Source
from emulator.manifest.model import Manifest, Route
from emulator.runtime.handlers import MAX_PAYLOAD
from emulator.service.console import Console
from emulator.service.functions import Functions
from emulator.service.schedules import Schedules

REPLY = "emulator.reply"
"""The name of the server's extension of ASGI that sends a response whole."""

_encode = msgspec.json.Encoder().encode


class Gateway:
    """Serves the HTTP API of a manifest."""

    def __init__(self, manifest: Manifest, functions: Functions, console: Console, source: Source) -> None:
        self.functions = functions
        self.console = console
        self.source = source
        self.bodies = Bodies()
        self.schedules = Schedules(functions, console)
        self._take(manifest)

    def _take(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.watch = Watch(manifest.files)
        self.authorizers = Authorizers(self.functions, manifest.region)
        self.http: Api = HttpApi(manifest)
        self.rest = RestApi(manifest)

    def refresh(self) -> None:
        """Read the manifest again when it has changed; one that cannot be read raises a ManifestError."""
        if self.watch.changed():
            self.watch.looked = 0.0  # until it has been read, every request looks again
            manifest = self.source.load()
            self.functions.containers.replace(manifest)
            self._take(manifest)
            self.schedules.start(manifest)
            self.console.line(f"{manifest.path.name} has changed: {len(manifest.functions)} functions")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        path = scope["raw_path"].decode("latin-1")
        route: Route | None = None
        try:
            response, route = await self._answer(scope, path, receive)
        except ClientGoneError:
            return
        await reply(scope, send, response)
        elapsed = (time.perf_counter() - begun) * 1000
        name = route.function.name if route else ""
        self.console.request(scope["method"], path, response.status, elapsed, name, response.note)

    async def _answer(self, scope: Scope, path: str, receive: Receive) -> tuple[Response, Route | None]:
        try:
            self.refresh()
        except ManifestError as problem:
            return payload_v2_response.error(500, "Internal Server Error", str(problem)), None
        if requests.head_size(scope) > requests.HEADER_LIMIT:
            return payload_v2_response.error(431, "Request Header Fields Too Large"), None
        api = self.rest if self.rest.owns(path) else self.http
        method, headers = scope["method"], scope["headers"]
        if method == "OPTIONS" and (response := api.preflight(method, path, headers)):
            return response, None
        match = api.match(method, path)
        response = await self._serve(api, match, scope, receive) if match else api.missing()
        api.finish(headers, response)
        return response, match[0] if match else None

    async def _serve(self, api: Api, match: Match, scope: Scope, receive: Receive) -> Response:
        route, parameters = match
        body = await self.bodies.read(scope["headers"], receive)
        if body is None:
            return payload_v2_response.too_large()
        request = requests.of(scope, body)
        event = api.event(request, route, parameters)
        if route.authorizer:
            # Authorizers have a payload format of their own, whatever the function's is.
            asked = event if "routeKey" in event else payload_v2_event.http_api(request, route, parameters)
            verdict = await self.authorizers.ask(route, self.manifest.authorizers[route.authorizer], asked)
            if isinstance(verdict, Response):
                return verdict
            event["requestContext"]["authorizer"] = verdict
        payload = _encode(event)
        if len(payload) > MAX_PAYLOAD:
            return payload_v2_response.too_large()
        response = api.answer(await self._invoke(route, request, payload, api.timeout))
        response.headers.append((b"apigw-requestid", request.id.encode()))
        return response

    async def _invoke(self, route: Route, request: Request, event: bytes, patience: float) -> Outcome | None:
        """The outcome, or None when the gateway's own patience ends before the function's time."""
        call = self.functions.invoke(route.function, event, request.trace_id)
        if route.function.timeout < patience:
            return await call
        task = asyncio.ensure_future(call)
        done, _ = await asyncio.wait((task,), timeout=patience)
        return task.result() if done else None


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
