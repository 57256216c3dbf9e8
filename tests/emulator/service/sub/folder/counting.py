"""A handler in a folder of its own, which remembers how often it was called."""

from __future__ import annotations

from typing import Any

calls = 0


def handler(event: Any, context: Any) -> dict[str, int]:
    """Count the calls of this environment."""
    global calls
    calls += 1
    return {"calls": calls}
