"""The HTTP API: from request to event, to a function, and back. Plain ASGI, as every request passes here."""

from __future__ import annotations

import asyncio
import time

import msgspec
from starlette.types import Receive, Scope, Send

from emulator import answers, cors, events, requests
from emulator.answers import Response
from emulator.authorizers import Authorizers
from emulator.console import Console
from emulator.containers import Outcome
from emulator.document import ManifestError
from emulator.invocations import Functions
from emulator.loading import Source
from emulator.manifest import Manifest, Route
from emulator.requests import Request
from emulator.routing import Router
from emulator.runtime.handlers import MAX_PAYLOAD
from emulator.watch import Watch

MAX_BODY = 10 * 1024 * 1024
GATEWAY_TIMEOUT = 30.0
BODY_TIMEOUT = 30.0
"""Seconds that a client may take to send its body."""

_encode = msgspec.json.Encoder().encode


class ClientGoneError(Exception):
    """The client hung up before its request was complete: nobody is left to answer."""


class Gateway:
    """Serves the HTTP API of a manifest."""

    def __init__(self, manifest: Manifest, functions: Functions, console: Console, source: Source) -> None:
        self.functions = functions
        self.console = console
        self.source = source
        self.bodies = Bodies()
        self._take(manifest)

    def _take(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.watch = Watch(manifest.files)
        self.authorizers = Authorizers(self.functions, manifest.region)
        self.router = Router(route for route in manifest.routes if route.kind == "httpApi")

    def refresh(self) -> None:
        """Read the manifest again when it has changed; one that cannot be read raises a ManifestError."""
        if self.watch.changed():
            self.watch.looked = 0.0  # until it has been read, every request looks again
            manifest = self.source.load()
            self.functions.containers.replace(manifest)
            self._take(manifest)
            self.console.line(f"{manifest.path.name} has changed: {len(manifest.functions)} functions")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        route: Route | None = None
        try:
            response, route = await self._answer(scope, receive)
        except ClientGoneError:
            return
        if self.manifest.cors and scope["method"] != "OPTIONS":
            cors.apply(self.manifest.cors, scope["headers"], response)
        await reply(send, response)
        path = scope["raw_path"].decode("latin-1")
        elapsed = (time.perf_counter() - begun) * 1000
        name = route.function.name if route else ""
        self.console.request(scope["method"], path, response.status, elapsed, name, response.note)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Response, Route | None]:
        try:
            self.refresh()
        except ManifestError as problem:
            return answers.error(500, "Internal Server Error", str(problem)), None
        if requests.head_size(scope) > requests.HEADER_LIMIT:
            return answers.error(431, "Request Header Fields Too Large"), None
        if self.manifest.cors and scope["method"] == "OPTIONS":
            response = cors.preflight(self.manifest.cors, "OPTIONS", scope["headers"])
            if response:
                return response, None
        match = self.router.match(scope["method"], scope["raw_path"].decode("latin-1"))
        if match is None:
            return answers.not_found(), None
        route, parameters = match
        body = await self.bodies.read(scope["headers"], receive)
        if body is None:
            return answers.too_large(), route
        request = requests.of(scope, body)
        event = events.http_api(request, route, parameters)
        if route.authorizer:
            verdict = await self.authorizers.ask(route, self.manifest.authorizers[route.authorizer], event)
            if isinstance(verdict, Response):
                return verdict, route
            event["requestContext"]["authorizer"] = verdict
        payload = _encode(event)
        if len(payload) > MAX_PAYLOAD:
            return answers.too_large(), route
        outcome = await self._invoke(route, request, payload)
        response = answers.http_api(outcome) if outcome else answers.error(503, "Service Unavailable", "over 30 s")
        response.headers.append((b"apigw-requestid", request.id.encode()))
        return response, route

    async def _invoke(self, route: Route, request: Request, event: bytes) -> Outcome | None:
        """The outcome, or None when the gateway's own patience ends before the function's time."""
        call = self.functions.invoke(route.function, event, request.trace_id)
        if route.function.timeout < GATEWAY_TIMEOUT:
            return await call
        task = asyncio.ensure_future(call)
        done, _ = await asyncio.wait((task,), timeout=GATEWAY_TIMEOUT)
        return task.result() if done else None


class Bodies:
    """Reads request bodies; knows which are still under way, so that a stop need not wait for a slow client."""

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()

    async def read(self, headers: answers.Headers, receive: Receive) -> bytes | None:
        """The whole body, b"" when none was announced, None when it is over the limit."""
        length, chunked = _announced(headers)
        if length > MAX_BODY:
            return None
        if not length and not chunked:
            return b""
        limit = asyncio.timeout(BODY_TIMEOUT)
        self._open.add(limit)
        try:
            async with limit:
                return await _parts(receive)
        except TimeoutError:
            raise ClientGoneError from None
        finally:
            self._open.discard(limit)

    def hurry(self) -> None:
        """Give the clients that are still sending one more second."""
        for limit in self._open:
            limit.reschedule(asyncio.get_running_loop().time() + 1)


async def reply(send: Send, response: Response) -> None:
    """Send a response in two messages, with its length; no body where HTTP allows none."""
    headers = response.headers
    if response.status != 204:
        headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _announced(headers: answers.Headers) -> tuple[int, bool]:
    length, chunked = 0, False
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            chunked = True
    return length, chunked


async def _parts(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        parts.append(message["body"])
        size += len(message["body"])
        if size > MAX_BODY:
            return None
        if not message.get("more_body"):
            return b"".join(parts)
