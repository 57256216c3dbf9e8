"""Finds the variables in a text, and splits a variable into its sources."""

from __future__ import annotations


def next_variable(text: str, position: int) -> int:
    """The index of the next variable, or -1. CloudFormation's `${AWS::Region}` is not a variable."""
    while (start := text.find("${", position)) >= 0:
        if not text.startswith("${AWS::", start):
            return start
        position = start + 2
    return -1


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
