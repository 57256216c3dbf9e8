"""The edge to the gateway: event -> request, result -> response, error -> problem, in one decorator.

Events and responses are AWS's HTTP API payload format 2.0; problems are RFC 9457's.
"""

import base64
import binascii
import functools
import hashlib
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from shared import environment, errors, requests
from shared.entities import Caller, IdempotencyKey
from shared.identifiers import canonical
from shared.shapes import prepared

log = logging.getLogger(__name__)

Event = Mapping[str, Any]
T = TypeVar("T")

STATUSES: dict[type[errors.SwitchboardError], int] = {
    errors.SwitchboardError: 500,
    errors.ConfigurationError: 500,
    errors.InvalidRequestError: 400,
    errors.InvalidSessionDataError: 400,
    errors.InvalidRoleError: 400,
    errors.InvalidUserIDError: 400,
    errors.InvalidMessageTypeError: 400,
    errors.InvalidContextError: 400,
    errors.InvalidContentError: 400,
    errors.InvalidRecipientError: 400,
    errors.InvalidIdempotencyKeyError: 400,
    errors.UnauthenticatedError: 401,
    errors.UnauthorizedError: 403,
    errors.IdentityMismatchError: 403,
    errors.SessionNotFoundError: 404,
    errors.SessionAlreadyEndedError: 409,
    errors.SessionEndedError: 410,
    errors.ContentTooLargeError: 413,
    errors.IdempotencyKeyReusedError: 422,
    errors.RateLimitedError: 429,
    errors.DatabaseError: 503,
    errors.IdentityUnavailableError: 503,
    errors.LiveUnavailableError: 503,
}
"""Error class -> HTTP status; a class without a line has its base's."""

_KEY = re.compile(r'[\x21\x23-\x7e][\x20-\x7e]{0,254}|"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"')


class Response(msgspec.Struct, frozen=True):
    """A handler's success: a JSON value, and headers beside `Content-Type`."""

    status: int
    body: Any
    headers: dict[str, str] = {}


class _Context(msgspec.Struct, rename="camel"):
    connection_id: str | None = None


@prepared
class _Event(msgspec.Struct, rename="camel"):
    """The fields of an event that are read."""

    path_parameters: dict[str, str] | None = None
    query_string_parameters: dict[str, str] | None = None
    multi_value_query_string_parameters: dict[str, list[str]] | None = None
    headers: dict[str, str] | None = None
    body: str | None = None
    is_base64_encoded: bool | None = None
    request_context: _Context | None = None


class Request:
    """What a handler reads of a payload 2.0 event, or of a WebSocket handshake's.

    `caller` is None when callers are not verified.
    """

    def __init__(self, event: Event, function: str) -> None:
        try:
            self._event = msgspec.convert(event, _Event)
        except msgspec.ValidationError as error:
            raise errors.InvalidRequestError(f"event: {error}") from None
        self._function = function
        self.caller: Caller | None = None

    @property
    def session_id(self) -> str:
        """The path parameter, in its canonical form where it has one."""
        sent = (self._event.path_parameters or {}).get("session_id") or ""
        return canonical(sent) or sent

    @property
    def connection_id(self) -> str:
        """The connection that a handshake opens. Raises `InvalidRequestError` for an event of another kind."""
        context = self._event.request_context
        if context is None or context.connection_id is None:
            raise errors.InvalidRequestError("event: not one of a WebSocket API")
        return context.connection_id

    def query(self, kind: type[T]) -> T:
        """The typed query, with the caller filled in. Raises `InvalidRequestError`, `IdentityMismatchError`."""
        for name, values in (self._event.multi_value_query_string_parameters or {}).items():
            if len(values) > 1:
                raise errors.InvalidRequestError(f"{ascii(name[:60])[1:-1]}: appears twice in the query")
        return requests.parse_query(self._event.query_string_parameters or {}, kind, self.caller)

    def body(self, kind: type[T]) -> T:
        """The typed JSON body of a route without a query, with the caller filled in.

        Raises `InvalidRequestError`, `ContentTooLargeError`, `IdentityMismatchError`.
        """
        self.query(requests.NoQuery)
        body = self._event.body or ""
        if not self._event.is_base64_encoded:
            return requests.parse_body(body.encode("utf-8", "surrogatepass"), kind, self.caller)
        try:
            decoded = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            raise errors.InvalidRequestError("request body: not base64, although it is marked so") from None
        return requests.parse_body(decoded, kind, self.caller)

    def idempotency_key(self, request: Any) -> IdempotencyKey | None:
        """The call's `Idempotency-Key` with a fingerprint of the typed request. Raises `InvalidIdempotencyKeyError`.

        Each function has its own keys, and within it each session in the path and each verified caller has its own.
        """
        headers = self._event.headers or {}
        key = next((value for name, value in headers.items() if name.lower() == "idempotency-key"), None)
        if key is None:
            return None
        match = _KEY.fullmatch(key)
        if match is None:
            raise errors.InvalidIdempotencyKeyError
        scope = f"{self._function} {self.session_id}".rstrip()
        if self.caller is not None:
            scope = f"{scope} {self.caller.role} {self.caller.user_id}"
        return IdempotencyKey(scope, match[1] or key, _fingerprint(request))


def replayed(key: IdempotencyKey | None) -> dict[str, str]:
    """The header that marks the answer of an earlier call with the same key."""
    return {"Idempotency-Replayed": "true"} if key is not None and key.replayed else {}


def _fingerprint(request: Any) -> str:
    try:
        encoded = msgspec.json.encode(request)
    except UnicodeEncodeError:  # a lone surrogate, which the rules refuse in every field
        encoded = repr(request).encode("utf-8", "backslashreplace")
    return hashlib.sha256(encoded).hexdigest()


def endpoint(handle: Callable[[Request], Response]) -> Callable[[Event, Any], dict[str, Any]]:
    """Make a Lambda handler of a function from request to response; every error becomes a problem.

    Under `SWITCHBOARD_IDENTITY=claims` a call of somebody who is not verified is refused before the function runs.
    """

    def answer(event: Event, function: str) -> Response:
        request = Request(event, function)
        request.caller = caller = environment.identity().caller(event)
        try:
            return handle(request)
        except (errors.UnauthorizedError, errors.IdentityMismatchError) as error:
            if caller is not None:
                log.info("%s refused to %s %s: %s", function, caller.role, caller.user_id, error.code)
            raise

    return _handler(handle, answer)


def public_endpoint(handle: Callable[[Request, bool], Response]) -> Callable[[Event, Any], dict[str, Any]]:
    """The same for a function that unverified callers may call too; `handle` gets whether this caller is one."""

    def answer(event: Event, function: str) -> Response:
        return handle(Request(event, function), environment.identity().is_stranger(event))

    return _handler(handle, answer)


def _handler(
    handle: Callable[..., Response], answer: Callable[[Event, str], Response]
) -> Callable[[Event, Any], dict[str, Any]]:
    function = handle.__module__.rpartition(".")[2]

    @functools.wraps(handle)
    def handler(event: Event, context: Any) -> dict[str, Any]:
        try:
            response = answer(event, function)
            body = msgspec.json.encode(response.body)
            headers = {"Content-Type": "application/json", **response.headers}
            return {"statusCode": response.status, "headers": headers, "body": body.decode()}
        except errors.SwitchboardError as error:
            return _problem(error, _request_id(event, context), function)
        except Exception as error:
            request_id = _request_id(event, context)
            log.exception("%s failed on request %s", function, request_id)
            return _problem(errors.SwitchboardError().with_traceback(error.__traceback__), request_id, function)

    return handler


def _problem(error: errors.SwitchboardError, request_id: str, function: str) -> dict[str, Any]:
    from http import HTTPStatus  # for failures only: a cold start does without

    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    if isinstance(error, errors.DatabaseError | errors.ConfigurationError):
        log.error("%s: %s on request %s: %s", function, error.code, request_id, error, exc_info=error.__cause__)
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _printable(str(error)),
        "code": error.code,
        "request_id": request_id,
    }
    if isinstance(error, errors.SessionAlreadyEndedError):
        problem["end_time"] = error.end_time
    headers = {"Content-Type": "application/problem+json"}
    if isinstance(error, errors.UnauthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return {"statusCode": status, "headers": headers, "body": msgspec.json.encode(problem).decode()}


def _request_id(event: Any, context: Any) -> str:
    """Lambda's id of the invocation, which its log lines have too; without a context the gateway's id."""
    known = getattr(context, "aws_request_id", None)
    if known is None and isinstance(event, Mapping) and isinstance(event.get("requestContext"), Mapping):
        known = event["requestContext"].get("requestId")
    return _printable(str(known or uuid.uuid4()))


def _printable(text: str) -> str:
    """The text as UTF-8 has it: a lone surrogate becomes its escape sequence."""
    return text.encode("utf-8", "backslashreplace").decode()
