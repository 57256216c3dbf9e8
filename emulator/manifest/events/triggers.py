"""Reads the events of functions, by their type."""

from __future__ import annotations

from typing import Any

from emulator.manifest import known_keys
from emulator.manifest.events import (
    alb_events,
    authorizers,
    cors,
    function_urls,
    schedule_events,
    websocket_events,
)
from emulator.manifest.events.alb_model import AlbRule
from emulator.manifest.events.routes import METHODS, Routes
from emulator.manifest.events.websocket_model import WebSocketRoute
from emulator.manifest.functions import Functions
from emulator.manifest.model import Authorizer, Cors, Function, FunctionUrl, IamAuthorizer, Schedule
from emulator.manifest.section import Section, lookup, shown
from emulator.manifest.variables.resolver import Resolver
from emulator.manifest.yaml.document import Place


class Triggers:
    """Reads the events of every function of a manifest."""

    def __init__(self, resolver: Resolver, functions: Functions, provider: Section) -> None:
        self.resolver = resolver
        self.functions = functions
        self.api = provider.inside("httpApi")
        self.routes = self._routes({})
        self.schedules: list[Schedule] = []
        self.urls: list[FunctionUrl] = []
        self.alb_rules: list[AlbRule] = []
        self.websocket_routes: list[WebSocketRoute] = []
        self.cors: Cors | None = None

    def read(self) -> None:
        """Fill the lists; the first event that is wrong raises a ManifestError."""
        self.api.check(known_keys.HTTP_API_SETTINGS)
        self.routes = self._routes({name: self._authorizer(name) for name in self.api.inside("authorizers").data})
        payload = _payload(self.api, "2.0")
        for function in self.functions.known.values():
            self._events(function, payload)
        self.cors = cors.read(self.api, "cors", self._cors_methods())

    def _routes(self, named: dict[str, Authorizer]) -> Routes:
        return Routes(authorizers.Known(self.functions.known, self.functions.left_out, named))

    def _authorizer(self, name: str) -> Authorizer:
        section = self.api.inside("authorizers", name)
        return authorizers.read(name, section, self.functions.known, self.functions.left_out)

    def _events(self, function: Function, payload: str) -> None:
        section = Section.at(self.resolver, "functions", function.name)
        settings = section.inside("httpApi")
        settings.check(known_keys.FUNCTION_HTTP_API)
        if (url := function_urls.read(function, section)) is not None:
            self.urls.append(url)
            if url.signed:
                self.routes.authorizers.setdefault(authorizers.IAM, IamAuthorizer(authorizers.IAM))
        place = ("functions", function.name, "events")
        events = lookup(self.resolver, place)
        if events is None:
            return
        if not isinstance(events, list):
            raise section.error("must be a list", "events")
        own = _payload(settings, payload)
        for index, event in enumerate(events):
            self._event(function, event, (*place, index), own)

    def _event(self, function: Function, event: Any, place: Place, payload: str) -> None:
        if isinstance(event, str):  # as in `- alexaSkill`
            event = {event: None}
        section = Section.at(self.resolver, *place[:2])
        where = section.where.at(*place[2:])
        if not isinstance(event, dict):
            raise where.error(f"{where.name}: an event is a type and its settings, not {shown(event)}")
        parent = Section(self.resolver, where, event)
        for kind, settings in event.items():
            if kind not in known_keys.EVENTS:
                parent.unknown(kind, "is not a type of event")
            elif kind in known_keys.NOT_EMULATED:
                parent.warn(f"{kind} events are not emulated; invoke {function.name} by name", kind)
            elif settings is None:
                parent.warn(f"the {kind} event has no settings: it is left out, as when it is deployed", kind)
            else:
                self._emulated(function, kind, settings, parent, payload)

    def _emulated(self, function: Function, kind: str, settings: Any, parent: Section, payload: str) -> None:
        where = parent.where.at(kind)
        section = Section(self.resolver, where, None if isinstance(settings, str) else settings)
        if kind == "alb":
            self._add_alb_rule(alb_events.read(function, section), section)
        elif kind == "websocket":
            known, left_out = self.functions.known, self.functions.left_out
            self._add_websocket_route(websocket_events.read(function, section, settings, known, left_out), section)
        elif kind == "schedule":
            number = len(self.schedules) + 1
            self.schedules += schedule_events.read(function, section, settings, number)
        else:
            self.routes.read(function, section, settings, "http" if kind == "http" else "httpApi", payload)

    def _add_alb_rule(self, rule: AlbRule, section: Section) -> None:
        for other in self.alb_rules:
            if (other.listener, other.priority) == (rule.listener, rule.priority):
                raise section.error(f"is already the priority of {other.function}, line {other.line}", "priority")
        self.alb_rules.append(rule)

    def _add_websocket_route(self, route: WebSocketRoute, section: Section) -> None:
        for other in self.websocket_routes:
            if other.key == route.key:
                raise section.error(f"{route.key} is already the route of {other.function}, line {other.line}")
        self.websocket_routes.append(route)

    def _cors_methods(self) -> tuple[str, ...]:
        used = {route.method for route in self.routes.routes if route.kind == "httpApi"}
        return METHODS if "ANY" in used else ("OPTIONS", *sorted(used - {"OPTIONS"}))


def _payload(section: Section, default: str) -> str:
    """The payload format of a section. Without quotes, YAML reads 1.0 and 2.0 as numbers."""
    value = section.data.get("payload")
    if value is None:
        return default
    if str(value) not in ("1.0", "2.0"):
        raise section.error("must be '1.0' or '2.0'", "payload")
    return str(value)
