"""Paths of routes: which characters they may contain, and the names of their parameters."""

from __future__ import annotations

import re

_PARAMETER = re.compile(r"\{([A-Za-z_][\w.-]*)\}")
_GREEDY = re.compile(r"\{([A-Za-z_][\w.-]*)\+\}")


class PathError(Exception):
    """What is wrong with a route's path."""


def checked(path: str, *, rest: bool) -> str:
    """The path if it is valid, else a PathError.

    With `rest` it is a REST API's: it may be without its first slash, and a slash at its end makes no difference.
    """
    if path == "*":
        return path
    if rest:
        path = f"/{path.removeprefix('/').removesuffix('/')}"
    if not path.startswith("/"):
        raise PathError(f"a path begins with a slash, unlike {path!r}")
    *inner, last = path.split("/")
    for segment in inner:
        if ("{" in segment or "}" in segment) and not _PARAMETER.fullmatch(segment):
            _refuse(segment)
    if ("{" in last or "}" in last) and not _PARAMETER.fullmatch(last) and not _GREEDY.fullmatch(last):
        _refuse(last)
    return path


def shape(path: str) -> str:
    """The path without the names of its parameters. Paths of the same shape are the same route."""
    return _GREEDY.sub("{+}", _PARAMETER.sub("{}", path))


def parameters(path: str) -> list[str]:
    """The names of a path's parameters."""
    return _PARAMETER.findall(path.replace("+}", "}"))


def _refuse(segment: str) -> None:
    raise PathError(f"{segment!r} is no path parameter ({{name}}, or {{name+}} at the end)")
