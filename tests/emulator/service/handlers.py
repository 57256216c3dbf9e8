"""Handlers that do what handlers do, well or badly."""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
import time
from typing import Any


def echo(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Answer with the event."""
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}


def answer(event: dict[str, Any], _context: Any) -> Any:
    """Answer with whatever JSON value the request's body is."""
    return json.loads(_body(event))


def raw(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Send the body's bytes back as they came."""
    content = base64.b64encode(_body(event)).decode()
    headers = {"content-type": "application/octet-stream"}
    return {"statusCode": 200, "headers": headers, "body": content, "isBase64Encoded": True}


def _body(event: dict[str, Any]) -> bytes:
    text = event.get("body", "")
    return base64.b64decode(text) if event["isBase64Encoded"] else text.encode()


def context(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Tell everything about the context and the environment."""
    first = context.get_remaining_time_in_millis()
    time.sleep(0.05)
    return {
        "function_name": context.function_name,
        "function_version": context.function_version,
        "invoked_function_arn": context.invoked_function_arn,
        "memory_limit_in_mb": context.memory_limit_in_mb,
        "aws_request_id": context.aws_request_id,
        "log_group_name": context.log_group_name,
        "log_stream_name": context.log_stream_name,
        "identity": context.identity.cognito_identity_id,
        "client_context": context.client_context and context.client_context.custom,
        "remaining": [first, context.get_remaining_time_in_millis()],
        "environ": dict(os.environ),
        "cwd": os.getcwd(),  # noqa: PTH109
    }


def raises(event: Any, context: Any) -> None:
    """Fail as handlers fail."""
    print("about to fail")
    raise LookupError("no such pupil")


def slow(event: Any, context: Any) -> None:
    """Take longer than the function's timeout."""
    time.sleep(4)


def sleeps(event: Any, context: Any) -> str:
    """Take a moment."""
    time.sleep(0.6)
    return "rested"


def exits(event: dict[str, Any], context: Any) -> None:
    """End the process from inside."""
    sys.exit(3)


def none(event: Any, context: Any) -> None:
    """Forget to answer."""


def not_json(event: Any, context: Any) -> Any:
    """Return what has no JSON."""
    return {"statusCode": 200, "body": {1, 2}}


def huge(event: Any, context: Any) -> str:
    """Return more than Lambda carries."""
    return "x" * 6_400_000


def deep(event: Any, context: Any) -> Any:
    """Blow the stack."""
    return deep(event, context)


def prints(event: Any, context: Any) -> str:
    """Print a megabyte, on both streams."""
    for _ in range(500):
        print("o" * 1023)
        print("e" * 1023, file=sys.stderr)
    return "printed"


def forges(event: Any, context: Any) -> str:
    """Print what looks like an answer, to every channel there is."""
    fake = '{"statusCode": 200, "body": "forged"}'
    print(fake)
    sys.__stdout__ and sys.__stdout__.write(fake)
    os.write(1, fake.encode() + b"\n")
    return "true"


def forks(event: Any, context: Any) -> str:
    """Leave a child behind that outlives the answer."""
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    return "forked"


def leaks(event: Any, context: Any) -> str:
    """Leave a thread behind."""
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    return "leaked"


def quotes(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """A body of quotes, each of which is escaped in JSON."""
    return {"body": '"' * event["quotes"]}
