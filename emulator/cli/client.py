"""Asks a running emulator, for the commands that do."""

from __future__ import annotations

import http.client
import json
from typing import Any

from emulator.cli import options

SECONDS = 1000
"""How long an answer may take: as long as the longest function, and a little more."""


def ask(method: str, port: int, path: str, value: Any = None) -> Any:
    """The answer as JSON; one that refuses, or none, ends the command with its reason. A value is sent as JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        body, headers = (None, {}) if value is None else (json.dumps(value), {"Content-Type": "application/json"})
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, ValueError, http.client.HTTPException):
        options.refuse(f"no emulator answers on port {port}: --port names another")
    finally:
        connection.close()
    if response.status != 200:
        options.refuse(str(answer.get("message") or answer.get("errorMessage") or answer))
    return answer
