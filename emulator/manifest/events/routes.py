"""The HTTP events of functions: `httpApi` and `http`."""

from __future__ import annotations

from typing import Any

from emulator.manifest import known_keys
from emulator.manifest.events import authorizers, rest_methods, route_paths
from emulator.manifest.model import ApiKind, Authorizer, Function, Route
from emulator.manifest.section import Section
from emulator.manifest.variables.placeholder import Placeholder
from emulator.manifest.yaml.document import Where

METHODS = ("GET", "POST", "PUT", "PATCH", "OPTIONS", "HEAD", "DELETE")


class Routes:
    """Reads the routes of a manifest, one for each event."""

    def __init__(self, known: authorizers.Known) -> None:
        self.routes: list[Route] = []
        self.authorizers: dict[str, Authorizer] = dict(known.authorizers)
        self._known = known

    def read(self, function: Function, section: Section, settings: Any, kind: ApiKind, payload: str) -> None:
        """One event: the short form `GET /path`, or an object."""
        if isinstance(settings, str):
            method, path = _short_form(settings, section)
        else:
            section.check(known_keys.HTTP_API if kind == "httpApi" else known_keys.HTTP)
            root = kind == "http" and section.data.get("path") == ""
            method, path = str(section.data.get("method") or "*"), "/" if root else section.known_string("path")
        if isinstance(settings, Placeholder):
            raise section.error(f"needs a value here, not {settings}: give it with --param")
        authorizer = self._authorizer(section, kind, f"{method} {path}")
        method = _method(method, section)
        route = Route(
            method=method,
            path=_path(path, kind, section),
            function=function,
            kind=kind,
            line=section.where.line,
            authorizer=authorizer.name if authorizer else None,
            scopes=authorizers.scopes(section.data.get("authorizer")),
            rest=rest_methods.read(section, method, f"{method} {path}") if kind == "http" else None,
            payload="1.0" if kind == "http" else payload,
        )
        self._add(route, section.where)

    def _authorizer(self, section: Section, kind: ApiKind, route: str) -> Authorizer | None:
        if not section.data.get("authorizer"):  # an empty name is none, as in the framework
            return None
        found = authorizers.of_route(section, kind, route, self._known)
        self.authorizers[found.name] = found
        return found

    def _add(self, route: Route, where: Where) -> None:
        for other in self.routes:
            if (other.kind, other.method, route_paths.shape(other.path)) == (
                route.kind,
                route.method,
                route_paths.shape(route.path),
            ):
                taken = f"{route.key} is already the route of {other.function.name}, line {other.line}"
                raise where.error(f"{where.name}: {taken}")
        self.routes.append(route)


def _short_form(text: str, section: Section) -> tuple[str, str]:
    if text.strip() == "*":
        return "*", "*"
    method, _, path = text.strip().partition(" ")
    if not path.strip():
        raise section.error(f"must be a method and a path, as in GET /path, not {text[:100]!r}")
    return method, path.strip()


def _method(text: str, section: Section) -> str:
    method = "ANY" if text in ("*", "any", "ANY") else text.upper()
    if method != "ANY" and method not in METHODS:
        raise section.error(f"{text[:100]!r} is not an HTTP method")
    return method


def _path(text: str, kind: ApiKind, section: Section) -> str:
    try:
        return route_paths.checked(text, rest=kind == "http")
    except route_paths.PathError as error:
        raise section.error(str(error)) from None
