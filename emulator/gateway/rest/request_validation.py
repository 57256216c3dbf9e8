"""Checks a request by the `request.parameters` and `request.schemas` of its route."""

from __future__ import annotations

import json

from emulator.gateway.authorization.verdicts import Event
from emulator.gateway.request import Request
from emulator.gateway.response import Response
from emulator.gateway.rest import rest_errors
from emulator.manifest.events.rest_model import RequestRules


def refusal(rules: RequestRules, request: Request, event: Event) -> Response | None:
    """400 in a REST API's words for a request against the rules; None for one that may pass."""
    missing = [name for place, name in rules.required if not _value(place, name, event)]
    if missing:
        return rest_errors.bad_request(f"Missing required request parameters: [{', '.join(missing)}]")
    if rules.bodies and (reason := _body_fault(rules, request)):
        return rest_errors.bad_request("Invalid request body", reason)
    return None


def _value(place: str, name: str, event: Event) -> str | None:
    if place == "header":
        return next((value for key, value in event["headers"].items() if key.lower() == name.lower()), None)
    found = event["pathParameters" if place == "path" else "queryStringParameters"] or {}
    value: str | None = found.get(name)
    return value


def _body_fault(rules: RequestRules, request: Request) -> str | None:
    """What is wrong with a body. A type without a schema is not checked, as on AWS."""
    kind = request.header(b"content-type").partition(";")[0].strip().lower() or "application/json"
    check = rules.bodies.get(kind)
    if check is None:
        return None
    try:
        check(json.loads(request.body))
    except (ValueError, RecursionError) as error:
        return str(error) or "nested too deeply"
    return None
