"""Where a variable in a text begins, ends, and falls into its fallbacks."""

from __future__ import annotations


def next_variable(text: str, position: int) -> int:
    """Where the next variable begins; CloudFormation's `${AWS::Region}` is none, and stays as it is."""
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
    """A variable and its fallbacks: cut at commas outside quotes, braces and parentheses."""
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
