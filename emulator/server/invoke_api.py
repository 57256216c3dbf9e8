"""Lambda's Invoke API, as boto3 and the aws command line speak it."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from emulator.containers import Fault, Outcome, stamp
from emulator.gateway import response as gateway_response
from emulator.gateway.bodies import Bodies
from emulator.gateway.gateway import reply
from emulator.manifest.account import arn
from emulator.manifest.model import QUALIFIER, Function
from emulator.runtime.handlers import MAX_PAYLOAD
from emulator.server.secrets import masked
from emulator.service import faults, ids
from emulator.service.project import Project

PREFIX = "/2015-03-31/functions"
MAX_EVENT_PAYLOAD = 1_048_576
"""Lambda's limit for asynchronous invocations, in bytes."""
MAX_CLIENT_CONTEXT = 3583
"""Lambda's limit for a client context, in characters of its Base64 form."""


class ServiceError(Exception):
    """An error of the service itself, with the type that AWS gives it."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind

    def response(self) -> JSONResponse:
        """The error as botocore reads it."""
        headers = {"x-amzn-ErrorType": self.kind, "x-amzn-RequestId": ids.invocation()}
        # Lambda's own services disagree on the capital letter: botocore takes either.
        body = {"Type": "User", "Message": str(self), "message": str(self)}
        return JSONResponse(body, self.status, headers)


class InvokeApi:
    """Invokes functions by name, lists and describes them."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._functions = project.functions
        self.bodies = Bodies()

    def routes(self) -> list[Route]:
        """The routes of the API."""
        return [
            Route(f"{PREFIX}/", self.list, methods=["GET"]),
            Route(PREFIX, self.list, methods=["GET"]),
            Route(f"{PREFIX}/{{name}}", self.get, methods=["GET"]),
            Route(f"{PREFIX}/{{name}}/configuration", self.configuration, methods=["GET"]),
            Route(f"{PREFIX}/{{name}}/invocations", self.invoke, methods=["POST"]),
        ]

    async def invoke(self, request: Request) -> Response:
        """Invoke: answers with the function's result; the type Event does not wait for it, DryRun runs nothing."""
        if not self._functions.faults.rules:
            return await self._invoke(request)
        with faults.exchange() as exchange:
            try:
                response = await self._invoke(request)
            except ServiceError as error:
                response = error.response()
        if exchange.lost:
            return _NoAnswer()
        if exchange.kinds:
            response.headers[faults.HEADER] = ", ".join(exchange.kinds)
        return response

    async def _invoke(self, request: Request) -> Response:
        function = self._function(request)
        kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
        if kind not in ("RequestResponse", "Event", "DryRun"):
            raise ServiceError(400, "InvalidParameterValueException", f"{kind!r} is not an invocation type")
        payload = await self._payload(request, MAX_EVENT_PAYLOAD if kind == "Event" else MAX_PAYLOAD)
        context = _client_context(request.headers.get("x-amz-client-context", ""))
        if kind == "DryRun":
            return Response(status_code=204)
        request_id = ids.invocation()
        headers = {"x-amzn-RequestId": request_id, "X-Amz-Executed-Version": QUALIFIER}
        call = functools.partial(self._call, function, payload, context, request_id)
        if kind == "Event":
            self._project.asynchronous.start(function, payload, request_id, call)
            return Response(status_code=202, headers=headers)
        outcome = await call()
        if outcome.fault is Fault.THROTTLED:
            raise ServiceError(429, "TooManyRequestsException", "Rate Exceeded.")
        if outcome.fault is not None:
            headers["X-Amz-Function-Error"] = "Unhandled"
        if request.headers.get("x-amz-log-type") == "Tail":
            tail = self._functions.logs.of(request_id)
            headers["X-Amz-Log-Result"] = base64.b64encode(tail).decode()
        return Response(outcome.payload, headers=headers, media_type="application/json")

    async def _call(self, function: Function, payload: bytes, context: str, request_id: str) -> Outcome:
        outcome = await self._functions.invoke(function, payload, client_context=context, request_id=request_id)
        result = "ok" if outcome.fault is None else outcome.fault.value
        self._project.console.line(
            f"INVOKE  {function.full_name}  {result}  {outcome.duration:.1f} ms  {function.name}"
        )
        return outcome

    async def list(self, _: Request) -> Response:
        """ListFunctions."""
        found = [_configuration(function) for function in self._project.manifest.functions.values()]
        return JSONResponse({"Functions": found, "NextMarker": None})

    async def get(self, request: Request) -> Response:
        """GetFunction."""
        function = self._function(request)
        code = {"RepositoryType": "local", "Location": self._project.manifest.folder.as_uri()}
        return JSONResponse({"Configuration": _configuration(function), "Code": code, "Tags": {}})

    async def configuration(self, request: Request) -> Response:
        """GetFunctionConfiguration."""
        return JSONResponse(_configuration(self._function(request)))

    def _function(self, request: Request) -> Function:
        self._project.refresh()
        name = request.path_params["name"]
        function = self._project.manifest.function(name)
        if request.query_params.get("Qualifier", QUALIFIER) != QUALIFIER:
            function = None
        if function is None:
            full = name if name.startswith("arn:") else arn("lambda", self._project.manifest.region, f"function:{name}")
            raise ServiceError(404, "ResourceNotFoundException", f"Function not found: {full}")
        return function

    async def _payload(self, request: Request, limit: int) -> bytes:
        payload = await self.bodies.read(request.scope["headers"], request.receive)
        if payload is None or len(payload) > limit:
            message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
            raise ServiceError(413, "RequestTooLargeException", message)
        if not payload:
            return b"{}"
        try:
            json.loads(payload)
        except (ValueError, RecursionError) as error:
            message = f"Could not parse request body into json: {error}"
            raise ServiceError(400, "InvalidRequestContentException", message) from None
        return payload


class _NoAnswer(Response):
    """The end of the connection instead of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: answer."""
        await reply(scope, send, gateway_response.Response(0, lost=True))


def _client_context(header: str) -> str:
    """The client context as JSON on one line, from its base64 header."""
    if not header:
        return ""
    if len(header) > MAX_CLIENT_CONTEXT:
        message = f"Client context must be at most {MAX_CLIENT_CONTEXT} bytes of Base64."
        raise ServiceError(400, "InvalidRequestContentException", message)
    try:
        context = json.loads(base64.b64decode(header, validate=True))
        if isinstance(context, dict):
            return json.dumps(context)
    except (binascii.Error, ValueError, RecursionError):
        pass
    message = "Client context must be a valid Base64-encoded JSON object."
    raise ServiceError(400, "InvalidRequestContentException", message)


def _configuration(function: Function) -> dict[str, Any]:
    return {
        "FunctionName": function.full_name,
        "FunctionArn": function.arn,
        "Runtime": function.runtime,
        "Role": arn("iam", "", "role/local"),
        "Handler": function.handler,
        "CodeSize": 0,
        "Description": "",
        "Timeout": function.timeout,
        "MemorySize": function.memory_size,
        "LastModified": stamp(time.time()).replace("Z", "+0000"),
        "Version": QUALIFIER,
        "Environment": {"Variables": {name: masked(name, value) for name, value in function.environment.items()}},
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "State": "Active",
        "LastUpdateStatus": "Successful",
    }
