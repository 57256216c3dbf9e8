"""Where events say who calls: it depends on the authorizer and on the payload format."""

from __future__ import annotations

from emulator.gateway.verdicts import Caller, Event


def add(event: Event, payload: str, caller: Caller) -> None:
    """Add the caller to a function's event of this payload format."""
    context = event["requestContext"]
    if payload == "1.0":
        _add_v1(context, caller)
    else:
        context["authorizer"] = {caller.kind: caller.values}


def _add_v1(context: Event, caller: Caller) -> None:
    """Format 1.0 has claims and a Lambda authorizer's context side by side, and an IAM user in the identity."""
    if caller.kind == "iam":
        context["identity"] |= _iam_identity(caller.values)
    elif caller.kind == "lambda":
        own = {"principalId": caller.principal, "integrationLatency": caller.milliseconds}
        context["authorizer"] = {**caller.values, **{name: value for name, value in own.items() if value is not None}}
    else:
        context["authorizer"] = caller.values


def _iam_identity(user: Event) -> Event:
    return {
        "accessKey": user["accessKey"],
        "accountId": user["accountId"],
        "caller": user["callerId"],
        "user": user["userId"],
        "userArn": user["userArn"],
    }
