"""The limits of a manifest, so that none can fill the memory or take more than about a second."""

from __future__ import annotations

from typing import Any

MAX_BYTES = 1024 * 1024
"""The size of one file. CloudFormation has the same limit for a template."""
MAX_DEPTH = 100
"""How deep lists and objects are nested. The framework's YAML parser has the same limit."""
MAX_SIZE = 2_000_000
"""The size of one file's values, in the unit of `size`: 50,000 values, or fewer with long texts."""
MAX_WORK = 8_000_000
"""The size of all values that are resolved for one manifest; a value that is used twice counts twice."""
MAX_NESTED = 200
"""How deep lists, objects and variables are nested while they are resolved, in levels."""
VARIABLE = 4
"""The levels that one variable counts. It needs more of Python's stack than a list, which counts one."""

VALUE = 40
"""The size of one value. A text adds its number of characters."""


def size(value: Any) -> int:
    """The size of one value, without the values inside it."""
    return VALUE + len(value) if isinstance(value, str) else VALUE


def measured(value: Any) -> tuple[int, int]:
    """The size of a value with all values inside it, and its depth."""
    total, depth = 0, 0
    waiting = [(value, 1)]
    while waiting:
        item, level = waiting.pop()
        total += size(item)
        depth = max(depth, level)
        if isinstance(item, dict):
            total += sum(len(key) for key in item)
            waiting.extend((inner, level + 1) for inner in item.values())
        elif isinstance(item, list):
            waiting.extend((inner, level + 1) for inner in item)
    return total, depth
