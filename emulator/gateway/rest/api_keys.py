"""API keys of a REST API: who may call its private routes."""

from __future__ import annotations

from emulator.gateway.authorization.verdicts import Event
from emulator.gateway.request import Request
from emulator.gateway.response import Response
from emulator.gateway.rest import rest_errors
from emulator.manifest.events.rest_model import RestSettings


def refusal(settings: RestSettings, request: Request, event: Event, of_authorizer: str | None) -> Response | None:
    """403 for a request without a valid key; None for one that may pass. The key is added to the event's identity."""
    sent = of_authorizer if settings.key_of_authorizer else request.header(b"x-api-key")
    key = next((one for one in settings.keys if one.value == sent), None)
    if key is None:
        return rest_errors.error(403, "Forbidden", "ForbiddenException", "no API key" if not sent else "wrong API key")
    event["requestContext"]["identity"] |= {"apiKey": key.value, "apiKeyId": key.id}
    return None
