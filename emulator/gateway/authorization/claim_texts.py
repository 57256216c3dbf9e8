"""The claims of a token as events have them: every one a text. The two kinds of API spell them differently."""

from __future__ import annotations

import json
import time
from typing import Any

_TIMES = ("exp", "iat", "nbf")


def of_http_api(claims: dict[str, Any]) -> dict[str, str]:
    """An HTTP API's spelling: `[a b]` for a list, `map[key:value]` for an object; a claim that is null is left out."""
    return {name: _go_text(value) for name, value in claims.items() if value is not None}


def of_rest_api(claims: dict[str, Any]) -> dict[str, str]:
    """A REST API's spelling: times as dates, lists joined by a comma, objects as JSON."""
    return {
        name: _date(value) if name in _TIMES and isinstance(value, int) else _rest_text(value)
        for name, value in claims.items()
        if value is not None
    }


def _go_text(value: Any) -> str:
    """Go's `%v`: API Gateway writes this for whatever is not a text."""
    if isinstance(value, list):
        return f"[{' '.join(map(_go_text, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{name}:{_go_text(value[name])}' for name in sorted(value))}]"
    if value is None:
        return "<nil>"
    return value if isinstance(value, str) else json.dumps(value)


def _rest_text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_rest_text, value))
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _date(seconds: int) -> str:
    """Java's spelling of a time: `Fri Jul 29 18:52:53 UTC 2016`."""
    try:
        return time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(seconds))
    except (OverflowError, OSError, ValueError):
        return str(seconds)
