"""The events of functions: routes, schedules, and the authorizers and CORS rules around them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from emulator.manifest import authorizers, cron, known_keys, route_paths
from emulator.manifest.document import ManifestError, Place, Where
from emulator.manifest.model import (
    ApiKind,
    Cors,
    Function,
    JwtAuthorizer,
    RequestAuthorizer,
    Route,
    Schedule,
)
from emulator.manifest.resolver import Resolver
from emulator.manifest.section import Section

METHODS = ("GET", "POST", "PUT", "PATCH", "OPTIONS", "HEAD", "DELETE")
DEFAULT_CORS_HEADERS = (
    "Content-Type",
    "X-Amz-Date",
    "Authorization",
    "X-Api-Key",
    "X-Amz-Security-Token",
    "X-Amz-User-Agent",
    "X-Amzn-Trace-Id",
)


class Triggers:
    """Reads the events of every function of a manifest."""

    def __init__(self, resolver: Resolver, functions: Mapping[str, Function], provider: Section) -> None:
        self.resolver = resolver
        self.functions = functions
        self.provider = provider
        self.routes: list[Route] = []
        self.schedules: list[Schedule] = []
        self.authorizers: dict[str, RequestAuthorizer | JwtAuthorizer] = {}
        self.cors: Cors | None = None
        self.payload = "2.0"

    def read(self) -> None:
        """Fill the lists; the first event that is wrong raises a ManifestError."""
        settings = self._checked(
            self.provider.data.get("httpApi"), ("provider", "httpApi"), known_keys.HTTP_API_SETTINGS
        )
        named = settings.get("authorizers") or {}
        for name, value in named.items():
            place = ("provider", "httpApi", "authorizers", name)
            checked = self._checked(value, place, known_keys.AUTHORIZER)
            refuse = partial(self._error, place=place)
            self.authorizers[name] = authorizers.read(name, checked, self.functions, refuse)
        for name, function in self.functions.items():
            self._events(function, ("functions", name, "events"))
        self.cors = self._cors(settings.get("cors"))
        self.payload = str(settings.get("payload") or "2.0")
        if self.payload not in ("1.0", "2.0"):
            raise self._error("must be '1.0' or '2.0'", ("provider", "httpApi", "payload"))

    def _events(self, function: Function, place: Place) -> None:
        events = self.resolver.lookup(".".join(map(str, place)), self._where(place))
        if not isinstance(events, list):
            if isinstance(events, (dict, str)):
                raise self._error("must be a list", place)
            return
        for index, event in enumerate(events):
            self._event(function, event, (*place, index))

    def _event(self, function: Function, event: Any, place: Place) -> None:
        if not isinstance(event, dict) or len(event) != 1:
            raise self._error("an event is one type and its settings, as in `httpApi: GET /path`", place)
        kind, settings = next(iter(event.items()))
        if kind not in known_keys.EVENTS:
            raise self._error(f"{kind!r} is not a type of event", (*place, kind))
        if kind == "schedule":
            self._schedule(function, settings, (*place, kind))
        elif kind in ("httpApi", "http"):
            self._route(function, settings, (*place, kind), kind)
        else:
            self.resolver.warn(
                f"{kind} events are not emulated; invoke {function.name} by name", self._where((*place, kind))
            )

    def _route(self, function: Function, settings: Any, place: Place, kind: ApiKind) -> None:
        known = known_keys.HTTP_API if kind == "httpApi" else known_keys.HTTP
        if isinstance(settings, str):
            method, path = self._short_form(settings, place)
            settings = {}
        else:
            settings = self._checked(settings, place, known)
            method, path = str(settings.get("method") or "*"), settings.get("path")
            if not isinstance(path, str):
                raise self._error("needs a method and a path", place)
        method = "ANY" if method in ("*", "any", "ANY") else method.upper()
        if method != "ANY" and method not in METHODS:
            raise self._error(f"{method!r} is not an HTTP method", place)
        line = self._where(place).line
        try:
            path = route_paths.checked(path, rest=kind == "http")
        except route_paths.PathError as error:
            raise self._error(str(error), place) from None
        if kind == "http" and settings.get("authorizer"):
            self.resolver.warn(
                f"authorizers of http events are not emulated; everybody may call {path}", self._where(place)
            )
            settings = {name: value for name, value in settings.items() if name != "authorizer"}
        authorizer = authorizers.named(settings.get("authorizer"), self.authorizers, partial(self._error, place=place))
        self._add(
            Route(
                method,
                path,
                function,
                kind,
                line,
                authorizer,
                authorizers.scopes(settings.get("authorizer")),
                kind == "http" and bool(settings.get("cors")),
            ),
            place,
        )

    def _short_form(self, text: str, place: Place) -> tuple[str, str]:
        if text.strip() == "*":
            return "*", "*"
        method, _, path = text.strip().partition(" ")
        if not path.strip():
            raise self._error(f"must be a method and a path, as in GET /path, not {text!r}", place)
        return method, path.strip()

    def _add(self, route: Route, place: Place) -> None:
        for other in self.routes:
            if (other.kind, other.method, route_paths.shape(other.path)) == (
                route.kind,
                route.method,
                route_paths.shape(route.path),
            ):
                raise self._error(
                    f"{route.key} is already the route of {other.function.name}, line {other.line}", place
                )
        self.routes.append(route)

    def _schedule(self, function: Function, settings: Any, place: Place) -> None:
        if isinstance(settings, str):
            settings = {"rate": settings}
        settings = self._checked(settings, place, known_keys.SCHEDULE)
        rates = settings.get("rate")
        for rate in rates if isinstance(rates, list) else [rates]:
            try:
                cron.parse(str(rate))
            except cron.ExpressionError as error:
                raise self._error(str(error), place) from None
            name = str(settings.get("name") or f"{function.full_name}-schedule-{len(self.schedules) + 1}")
            enabled = settings.get("enabled", True) not in (False, "false")
            line = self._where(place).line
            self.schedules.append(Schedule(name, function, str(rate), enabled, settings.get("input"), line))

    def _cors(self, value: Any) -> Cors | None:
        place = ("provider", "httpApi", "cors")
        if value is None or value is False:
            return None
        settings = {} if value is True else self._checked(value, place, known_keys.CORS)
        used = {route.method for route in self.routes if route.kind == "httpApi"}
        methods = METHODS if "ANY" in used else ("OPTIONS", *sorted(used - {"OPTIONS"}))
        age = settings.get("maxAge")
        if age is not None and (isinstance(age, bool) or not isinstance(age, int)):
            raise self._error("maxAge is a number of seconds", (*place, "maxAge"))
        return Cors(
            allowed_origins=self._strings(settings, "allowedOrigins", ("*",), place),
            allowed_methods=self._strings(settings, "allowedMethods", methods, place),
            allowed_headers=self._strings(settings, "allowedHeaders", DEFAULT_CORS_HEADERS, place),
            exposed_headers=self._strings(settings, "exposedResponseHeaders", (), place),
            max_age=age,
            allow_credentials=settings.get("allowCredentials") is True,
        )

    def _strings(self, settings: dict[str, Any], key: str, default: tuple[str, ...], place: Place) -> tuple[str, ...]:
        value = settings.get(key)
        if value is None:
            return default
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str) for item in items):
            raise self._error("must be a list of texts", (*place, key))
        return tuple(items)

    def _checked(self, value: Any, place: Place, known: frozenset[str]) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._error("must be an object", place)
        for key in value:
            if key not in known:
                raise self._error(f"{key!r} is not a key that belongs here", (*place, key))
        return value

    def _error(self, message: str, place: Place) -> ManifestError:
        where = self._where(place)
        return where.error(f"{where.name}: {message}")

    def _where(self, place: Place) -> Where:
        return Where(self.resolver.manifest, place)
