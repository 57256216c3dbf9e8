"""Where events say who calls: it depends on the authorizer and on the payload format."""

from __future__ import annotations

from emulator.gateway.authorization.verdicts import Caller, Event
from emulator.manifest.model import Route


def add(event: Event, route: Route, caller: Caller) -> None:
    """Add the caller to the event of a route's function."""
    context = event["requestContext"]
    if route.payload == "2.0":
        context["authorizer"] = {caller.kind: caller.values}
    elif caller.kind == "iam":
        context["identity"] |= _iam_identity(caller.values)
    elif caller.kind == "lambda":
        context["authorizer"] = _flat(route, caller)
    else:
        context["authorizer"] = caller.values


def _flat(route: Route, caller: Caller) -> Event:
    """Format 1.0 has a Lambda authorizer's context beside the principal. The two kinds of API add different keys."""
    own: Event = {} if caller.principal is None else {"principalId": caller.principal}
    if route.kind == "http":
        return {**caller.values, **own, "integrationLatency": caller.milliseconds}
    return {"claims": None, "scopes": None, **caller.values, **own}


def _iam_identity(user: Event) -> Event:
    return {
        "accessKey": user["accessKey"],
        "accountId": user["accountId"],
        "caller": user["callerId"],
        "user": user["userId"],
        "userArn": user["userArn"],
    }
