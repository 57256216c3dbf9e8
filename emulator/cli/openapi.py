"""An OpenAPI 3.1 document of a manifest's routes; it does not describe bodies."""

from __future__ import annotations

from typing import Any

from emulator.manifest.events import route_paths
from emulator.manifest.events.routes import METHODS
from emulator.manifest.model import Manifest, Route


def document(manifest: Manifest) -> dict[str, Any]:
    """The document; a route for ANY method is listed under each method."""
    paths: dict[str, dict[str, Any]] = {}
    for route in manifest.routes:
        if route.path == "*":  # OpenAPI has no path for everything else
            continue
        prefix = f"/{manifest.rest_stage}" if route.kind == "http" else ""
        operations = paths.setdefault(prefix + route.path.replace("+}", "}"), {})
        for method in METHODS if route.method == "ANY" else (route.method,):
            operations.setdefault(method.lower(), _operation(route, method))
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": manifest.service, "version": manifest.stage},
        "paths": paths,
    }
    if manifest.authorizers:
        scheme = {"type": "http", "scheme": "bearer"}
        found["components"] = {"securitySchemes": dict.fromkeys(manifest.authorizers, scheme)}
    return found


def _operation(route: Route, method: str) -> dict[str, Any]:
    name = route.function.name
    operation: dict[str, Any] = {
        "operationId": name if route.method != "ANY" else f"{name}_{method.lower()}",
        "responses": {"default": {"description": f"What {name} answers"}},
    }
    parameters = route_paths.parameters(route.path)
    if parameters:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters
        ]
    if route.authorizer:
        operation["security"] = [{route.authorizer: list(route.scopes)}]
    return operation
