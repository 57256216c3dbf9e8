"""What a REST API checks of a request before it calls the function: `request.parameters` and `request.schemas`."""

from __future__ import annotations

import json
from typing import Any

from emulator.manifest.events.rest_model import Check, RequestRules
from emulator.manifest.section import Section

_LOCATIONS = {"querystrings": "querystring", "paths": "path", "headers": "header"}
_DRAFT = {"$schema": "http://json-schema.org/draft-04/schema#"}
"""The version of JSON Schema that API Gateway uses."""


class SchemaError(Exception):
    """A schema that cannot be used here; the text says why."""


def read(section: Section) -> RequestRules:
    """The rules of one `http` event. Raises SchemaError."""
    request = section.inside("request")
    return RequestRules(required=_required(request), bodies=_bodies(request))


def _required(request: Section) -> tuple[tuple[str, str], ...]:
    parameters = request.inside("parameters")
    return tuple(
        (place, name)
        for key, place in _LOCATIONS.items()
        for name, value in parameters.inside(key).data.items()
        if (value.get("required", True) if isinstance(value, dict) else value)
    )


def _bodies(request: Section) -> dict[str, Check]:
    schemas = request.inside("schemas")
    return {kind.lower(): _check(_definition(schemas, value)) for kind, value in schemas.data.items()}


def _definition(schemas: Section, value: Any) -> dict[str, Any]:
    """The schema itself: written here, under `schema`, as a text of JSON, or by a name of the provider's schemas."""
    if isinstance(value, str):
        named = Section.at(schemas.resolver, "provider").inside("apiGateway", "request", "schemas").data
        value = named.get(value, value)
    if isinstance(value, dict) and value.get("schema"):
        value = value["schema"]
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise SchemaError(f"{str(value)[:100]!r} is neither a schema nor the name of one") from None
    if not isinstance(found, dict):
        raise SchemaError("a schema is an object")
    return found


def _check(definition: dict[str, Any]) -> Check:
    import fastjsonschema  # only for a manifest that has schemas

    handlers = dict.fromkeys(("", "file", "ftp", "http", "https"), _refuse)
    try:
        # API Gateway ignores `format`.
        check = fastjsonschema.compile({**definition, **_DRAFT}, handlers, use_default=False, use_formats=False)
    except (fastjsonschema.JsonSchemaDefinitionException, RecursionError) as error:
        raise SchemaError(str(error)) from None
    return check


def _refuse(address: str) -> Any:
    raise SchemaError(f"{address} is not asked for here: a schema may refer to its own parts only")
