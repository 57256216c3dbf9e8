"""Finds the variables in a text, and splits a variable into its sources."""

from __future__ import annotations

import re

_VARIABLE = re.compile(r"(?<!\\)((?:\\\\)*)\$\{[a-z][A-Za-z0-9.-]*[:(]")
_ESCAPES = re.compile(r"(?<!\\)(\\+)(?=\$\{)")


def next_variable(text: str, position: int) -> int:
    r"""The index of the next variable, or -1.

    A variable begins with its source, as `${self:`. CloudFormation's `${AWS::Region}` and `${Table}` are not variables,
    and neither is `\${self:`, which is escaped.
    """
    match = _VARIABLE.search(text, position)
    return match.end(1) if match else -1


def literal(part: str, *, before_variable: bool) -> str:
    """A part of a text outside of its variables: of two backslashes before a `${` one is left, of a single one none."""
    opening = "${" if before_variable else ""
    return _ESCAPES.sub(lambda escapes: escapes[1][: len(escapes[1]) // 2], part + opening).removesuffix(opening)


def closing(text: str, position: int) -> int:
    """The index of the brace that closes a variable, or -1."""
    depth, quote = 1, ""
    for index in range(position, len(text)):
        char = text[index]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if not depth:
                return index
    return -1


def split(inside: str) -> list[str]:
    """The sources of a variable, in order: split at the commas outside quotes, braces and parentheses."""
    parts, start, depth, quote = [], 0, 0, ""
    for index, char in enumerate(inside):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "{(":
            depth += 1
        elif char in "})":
            depth -= 1
        elif char == "," and not depth:
            parts.append(inside[start:index])
            start = index + 1
    return [*parts, inside[start:]]
