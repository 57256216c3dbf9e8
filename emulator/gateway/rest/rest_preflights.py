"""CORS preflights of a REST API: an OPTIONS method that the framework adds where an event has `cors`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from emulator.gateway.response import JSON_TYPE, Headers, Response
from emulator.manifest.events import rest_cors
from emulator.manifest.events.rest_model import RestCors
from emulator.manifest.model import Route

_EVERY_METHOD = "DELETE,GET,HEAD,PATCH,POST,PUT"
"""What the framework writes for ANY; OPTIONS is among the methods anyway."""


class Preflights:
    """The OPTIONS methods of one API."""

    def __init__(self, routes: Iterable[Route]) -> None:
        by_path: dict[str, list[RestCors]] = {}
        first: dict[str, Route] = {}
        for route in routes:
            if route.rest is not None and route.rest.cors is not None:
                by_path.setdefault(route.path, []).append(route.rest.cors)
                first.setdefault(route.path, route)
        self._cors = {path: rest_cors.merged(found) for path, found in by_path.items()}
        self.routes = [dataclasses.replace(route, method="OPTIONS") for route in first.values()]
        """A route for each, so that it is found as any other is."""

    def answer(self, path: str, headers: Headers) -> Response:
        """The answer for the path of one of `routes`."""
        cors = self._cors[path]
        methods = ",".join(cors.methods).replace("ANY", _EVERY_METHOD)
        found = [
            ("access-control-allow-origin", _origin(cors, headers)),
            ("access-control-allow-headers", ",".join(cors.headers)),
            ("access-control-allow-methods", methods),
            ("access-control-allow-credentials", "true" if cors.allow_credentials else None),
            ("access-control-max-age", str(cors.max_age) if cors.max_age else None),
            ("cache-control", cors.cache_control),
        ]
        return Response(200, b"", [JSON_TYPE, *((name.encode(), value.encode()) for name, value in found if value)])


def _origin(cors: RestCors, headers: Headers) -> str:
    sent = next((value.decode("latin-1") for name, value in headers if name == b"origin"), "")
    for pattern in cors.origins:
        if re.fullmatch(".+".join(map(re.escape, pattern.split("*", 1))), sent):
            return sent
    return cors.origins[0] if cors.origins else cors.origin or ""
