"""The errors that a REST API answers itself: each has a message and the name of its kind."""

from __future__ import annotations

from emulator.gateway.response import Response, error_response

DENIED = "User is not authorized to access this resource"


def error(status: int, message: str | None, kind: str, note: str = "") -> Response:
    """An error; the note goes to the console alone."""
    response = error_response(status, message, note)
    response.headers.append((b"x-amzn-errortype", kind.encode()))
    return response


def failed(status: int, message: str, note: str) -> Response:
    """The function failed, took too long, or gave a malformed answer."""
    return error(status, message, "InternalServerErrorException", note)


def missing() -> Response:
    """403: there is no such route."""
    return error(403, "Missing Authentication Token", "MissingAuthenticationTokenException")


def bad_request(message: str, note: str = "") -> Response:
    """400: the request is against the rules of its route."""
    return error(400, message, "BadRequestException", note)


def too_large() -> Response:
    """413: a body over the gateway's limit, or an event over Lambda's."""
    return error(413, "Request Too Long", "RequestTooLargeException")


def unauthorized(note: str, message: str = "Unauthorized") -> Response:
    """401: the request does not say who calls, or its token is not accepted."""
    return error(401, message, "UnauthorizedException", note)


def denied(note: str, *, explicitly: bool) -> Response:
    """403: an authorizer's policy does not allow the call, or denies it by a statement."""
    message = f"{DENIED} with an explicit deny" if explicitly else DENIED
    return error(403, message, "AccessDeniedException", note)


def authorizer_failed(note: str) -> Response:
    """500: an authorizer raised, or what it answered is malformed. REST APIs give no message."""
    return error(500, None, "AuthorizerConfigurationException", note)
