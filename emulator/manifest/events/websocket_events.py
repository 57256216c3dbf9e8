"""The `websocket` events of functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from emulator.manifest import known_keys
from emulator.manifest.events import rest_authorizers
from emulator.manifest.events.rest_authorizers import UnavailableError
from emulator.manifest.events.websocket_model import (
    CONNECT,
    DEFAULT,
    DEFAULT_SELECTION,
    PREDEFINED,
    Selection,
    WebSocketApi,
    WebSocketAuthorizer,
    WebSocketRoute,
)
from emulator.manifest.model import Function
from emulator.manifest.section import Section
from emulator.manifest.variables.placeholder import Placeholder

DEFAULT_SOURCES = ("route.request.header.Auth",)
"""The framework's identity source, where the manifest has none."""
_SOURCES = ("route.request.header.", "route.request.querystring.", "context.", "stageVariables.")
_IAM = "aws_iam"


def api(provider: Section, routes: Iterable[WebSocketRoute], default_name: str) -> WebSocketApi | None:
    """The API of these routes by the provider's settings, None where there is no route."""
    name = provider.string("websocketsApiName", default_name)
    provider.string("websocketsDescription", "Serverless Websockets")
    key = "websocketsApiRouteSelectionExpression"
    text = provider.known_string(key) if provider.data.get(key) is not None else DEFAULT_SELECTION
    selection = Selection(text)
    by_key = {route.key: route for route in routes}
    if not by_key:
        return None
    for variable in selection.unknown():
        provider.warn(f"{key}: {variable} has no value here, so every message goes to {DEFAULT}", key)
    return WebSocketApi(name, selection, by_key)


def read(
    function: Function,
    section: Section,
    settings: Any,
    functions: Mapping[str, Function],
    left_out: Mapping[str, str],
) -> WebSocketRoute:
    """One event: the short form is a route's key. `left_out` says of functions why they do not run here."""
    if isinstance(settings, str):
        section = Section(section.resolver, section.where, {"route": settings})
    section.check(known_keys.WEBSOCKET)
    key = section.known_string("route")
    if key.startswith("$") and key not in PREDEFINED:
        raise section.error(f"{key[:100]!r} is no route: those with a $ are {', '.join(PREDEFINED)}")
    response = section.data.get("routeResponseSelectionExpression")
    if response not in (None, DEFAULT) and not isinstance(response, Placeholder):
        raise section.error(f"must be {DEFAULT}", "routeResponseSelectionExpression")
    authorizer = None
    if section.data.get("authorizer"):  # an empty name is none, as in the framework
        if key != CONNECT:
            raise section.error(f"only {CONNECT} can have an authorizer", "authorizer")
        authorizer = _authorizer(section, functions, left_out)
    return WebSocketRoute(key, function.name, section.where.line, authorizer, response is not None)


def _authorizer(
    section: Section, functions: Mapping[str, Function], left_out: Mapping[str, str]
) -> WebSocketAuthorizer:
    value = section.data["authorizer"]
    if isinstance(value, dict):
        settings = section.inside("authorizer")
        settings.check(known_keys.WEBSOCKET_AUTHORIZER)
    else:
        key = "arn" if isinstance(value, str) and ":" in value else "name"
        settings = Section(section.resolver, section.where.at("authorizer"), {key: value})
    try:
        function = _function(settings, functions, left_out)
    except UnavailableError as reason:
        section.warn(f"{CONNECT}: the authorizer cannot be asked here ({reason}): the answer is 403", "authorizer")
        return WebSocketAuthorizer("", (), str(reason))
    return WebSocketAuthorizer(function.name, _sources(settings))


def _function(settings: Section, functions: Mapping[str, Function], left_out: Mapping[str, str]) -> Function:
    if _IAM in (str(settings.data.get("type")).lower(), str(settings.data.get("name")).lower()):
        raise UnavailableError("IAM authorization of handshakes is not emulated")
    return rest_authorizers.function_of(settings, functions, left_out)


def _sources(settings: Section) -> tuple[str, ...]:
    sources = settings.strings("identitySource", DEFAULT_SOURCES)
    for source in sources:
        if not any(source.startswith(known) and source != known for known in _SOURCES):
            raise settings.error(f"{source[:100]!r} is not like {DEFAULT_SOURCES[0]}", "identitySource")
    return sources
