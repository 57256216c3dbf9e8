"""Functions of a WebSocket API."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def show(name: str, event: dict[str, Any]) -> None:
    """Print an event as one line, in one piece: with --inline, functions share their output."""
    sys.stdout.write(f"{name} {json.dumps(event)}\n")


def hold(name: str, text: str) -> None:
    """Write a text into a file of this name, and wait until a test removes it."""
    file = Path(f"{name}.txt")
    file.with_suffix(".new").write_text(text)
    file.with_suffix(".new").rename(file)
    while file.exists():
        time.sleep(0.01)


def authorize(event: dict[str, Any], _: Any) -> Any:
    """Decide by the user's name."""
    show("authorize", event)
    user = event["queryStringParameters"]["user"]
    if user in ("Unauthorized", "failing"):
        raise LookupError(user)
    if user == "malformed":
        return {"isAuthorized": True}
    effect = "Deny" if user == "denied" else "Allow"
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": event["methodArn"]}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": user, "policyDocument": policy, "context": {"room": 12, "staff": False, "name": "Zoë"}}


def connect(event: dict[str, Any], _: Any) -> Any:
    """Answer with what the query says, else with 200."""
    show("connect", event)
    query = event.get("queryStringParameters") or {}
    if "error" in query:
        raise LookupError(query["error"])
    if "held" in query:
        hold(query["held"], event["requestContext"]["connectionId"])
    return json.loads(query.get("answer", '{"statusCode": 200}'))


def disconnect(event: dict[str, Any], _: Any) -> None:
    """Print the event."""
    show("disconnect", event)


def receive(event: dict[str, Any], _: Any) -> Any:
    """Do what the body says; the answer is the event."""
    body = {} if event["isBase64Encoded"] or not event["body"].startswith("{") else json.loads(event["body"])
    if "error" in body:
        raise LookupError(body["error"])
    if "held" in body:
        hold(body["held"], event["requestContext"]["messageId"])
    if "repeat" in body:
        return {"statusCode": 200, "body": "é" * body["repeat"]}
    return body.get("answer", {"statusCode": 200, "body": json.dumps(event)})


def post(event: dict[str, Any], _: Any) -> dict[str, Any]:
    """Write to the sender, with AWS's client as it finds its endpoint."""
    import boto3  # type: ignore[import-untyped]

    api = boto3.client("apigatewaymanagementapi")
    api.post_to_connection(ConnectionId=event["requestContext"]["connectionId"], Data=b"posted")
    return {"statusCode": 200}
