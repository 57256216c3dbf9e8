"""How much a manifest may hold: whatever is larger is refused before it can fill the memory or take seconds."""

from __future__ import annotations

from typing import Any

MAX_BYTES = 1024 * 1024
"""Of one file. CloudFormation's limit for a whole template is the same."""
MAX_DEPTH = 100
"""Lists and objects within one another. The framework's YAML parser has the same limit."""
MAX_SIZE = 2_000_000
"""The size of one file's values, in the unit of `size`: 50,000 values, or fewer with long texts."""
MAX_WORK = 8_000_000
"""The size of everything that is resolved for one manifest, copies included."""
MAX_NESTED = 200
"""Levels of lists, objects and variables that wait for one another while they are resolved."""
VARIABLE = 4
"""The levels of a variable: it takes more of Python's stack than a list."""

VALUE = 40
"""What a value counts, besides the characters of a text."""


def size(value: Any) -> int:
    """What one value counts, without what is inside it."""
    return VALUE + len(value) if isinstance(value, str) else VALUE


def measured(value: Any) -> tuple[int, int]:
    """The size of a value with everything inside it, and how deep it is nested."""
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
