"""Routes found by method and path: literal segments before {parameters}, those before {greedy+}, `*` last."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from emulator.manifest.events import route_paths
from emulator.manifest.model import Route

Match = tuple[Route, dict[str, str]]


class Router:
    """The routes of one API, ordered so that the first that matches is the one that AWS takes."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._literal: dict[tuple[str, str], Route] = {}
        self._patterns: list[tuple[list[str], Route]] = []  # and the literal ones, for encoded requests
        self._default: Route | None = None
        for route in sorted(routes, key=_precedence):
            if route.path == "*":
                self._default = route
                continue
            self._patterns.append((route.path.split("/")[1:], route))
            if "{" not in route.path:
                self._literal[route.method, route.path] = route

    def match(self, method: str, raw_path: str) -> Match | None:
        """The route for a request and its path parameters, each percent-decoded by itself."""
        if "%" not in raw_path:
            route = self._literal.get((method, raw_path)) or self._literal.get(("ANY", raw_path))
            if route:
                return route, {}
        segments = raw_path.split("/")[1:]
        for pattern, candidate in self._patterns:
            if candidate.method in (method, "ANY"):
                parameters = _fit(pattern, segments)
                if parameters is not None:
                    return candidate, parameters
        return (self._default, {}) if self._default else None


class ResourceRouter(Router):
    """The routes of a REST API: first the most exact path is chosen, then a method of that path.

    So `ANY /{proxy+}` does not get the methods that `/pets` has no route for.
    """

    def match(self, method: str, raw_path: str) -> Match | None:
        """The route for a request and its path parameters, each percent-decoded on its own."""
        segments = raw_path.split("/")[1:]
        chosen: str | None = None
        for pattern, candidate in self._patterns:
            if (parameters := _fit(pattern, segments)) is None:
                continue
            shape = route_paths.shape(candidate.path)
            if chosen in (None, shape) and candidate.method in (method, "ANY"):
                return candidate, parameters
            chosen = chosen or shape
        return (self._default, {}) if self._default and chosen is None else None


def _precedence(route: Route) -> tuple[list[int], bool]:
    """Sorts a more exact path before a less exact one, and of two equally exact ones a named method before ANY."""
    return [_rank(segment) for segment in route.path.split("/")[1:]], route.method == "ANY"


def _rank(segment: str) -> int:
    if segment.endswith("+}"):
        return 2
    return 1 if "{" in segment else 0


def _fit(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    greedy = pattern[-1].endswith("+}")
    if len(segments) != len(pattern) and not (greedy and len(segments) > len(pattern)):
        return None
    parameters: dict[str, str] = {}
    for index, expected in enumerate(pattern):
        if expected.endswith("+}"):
            rest = segments[index:]
            if not any(rest):
                return None
            parameters[expected[1:-2]] = "/".join(map(_decoded, rest))
        elif expected.startswith("{"):
            if not segments[index]:
                return None
            parameters[expected[1:-1]] = _decoded(segments[index])
        elif _decoded(segments[index]) != expected:
            return None
    return parameters


def _decoded(segment: str) -> str:
    return unquote(segment) if "%" in segment else segment
