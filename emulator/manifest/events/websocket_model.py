"""What the emulator takes from a manifest about its WebSocket API."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONNECT, DISCONNECT, DEFAULT = PREDEFINED = ("$connect", "$disconnect", "$default")

DEFAULT_SELECTION = "$request.body.action"

_PART = re.compile(r"\\(\$)|\$\{([^}]*)\}|\$([\w.-]+)")
_BODY = re.compile(r"request\.body((?:\.[\w-]+)+)")


@dataclass(frozen=True, slots=True)
class Selection:
    """A route selection expression, as in `$request.body.action` or `${request.body.version}-beta`."""

    text: str

    def unknown(self) -> list[str]:
        """The variables that are not part of a message's body: they have no value here."""
        found = ((braced or plain) for _, braced, plain in _PART.findall(self.text))
        return [name for name in found if name and not _BODY.fullmatch(name)]

    def key(self, message: str) -> str | None:
        """The route key of a message, None where the message has not every value or is not a JSON object."""
        try:
            body = json.loads(message)
        except (ValueError, RecursionError):
            return None
        missing = False

        def value(part: re.Match[str]) -> str:
            nonlocal missing
            if part[1]:
                return "$"
            found = _value(part[2] or part[3], body)
            missing = missing or found is None
            return found or ""

        key = _PART.sub(value, self.text)
        return None if missing else key


@dataclass(frozen=True, slots=True)
class WebSocketAuthorizer:
    """The Lambda authorizer of `$connect`."""

    function: str
    """The function's name in the manifest."""
    identity_source: tuple[str, ...]
    """A handshake that lacks the value of one of these is refused without asking the function."""
    unavailable: str = ""
    """Why it cannot be asked here; every handshake is then refused."""


@dataclass(frozen=True, slots=True)
class WebSocketRoute:
    """One `websocket` event of a function."""

    key: str
    function: str
    """The function's name in the manifest."""
    line: int
    authorizer: WebSocketAuthorizer | None = None
    responds: bool = False
    """Whether the `body` of the function's answer goes to the sender (`routeResponseSelectionExpression`)."""


@dataclass(frozen=True, slots=True)
class WebSocketApi:
    """The WebSocket API of a manifest that has `websocket` events."""

    name: str
    selection: Selection
    routes: Mapping[str, WebSocketRoute]
    """By their keys."""

    def route(self, message: str) -> WebSocketRoute | None:
        """The route of a message: the one that it selects, else `$default`."""
        key = self.selection.key(message)
        if key is None or key in PREDEFINED:
            key = DEFAULT
        return self.routes.get(key) or self.routes.get(DEFAULT)


def _value(variable: str, body: Any) -> str | None:
    if not (path := _BODY.fullmatch(variable)):
        return None
    for name in path[1].split(".")[1:]:
        body = body.get(name) if isinstance(body, dict) else None
    if isinstance(body, str):
        return body
    return json.dumps(body) if isinstance(body, bool | int | float) else None
