"""What a REST API's authorizers are asked about: identity sources such as `method.request.header.Authorization`."""

from __future__ import annotations

from emulator.gateway.authorization.verdicts import Event, context_value

_KEYS = {
    "header": "multiValueHeaders",
    "multivalueheader": "multiValueHeaders",
    "querystring": "multiValueQueryStringParameters",
    "multivaluequerystring": "multiValueQueryStringParameters",
}


def value(source: str, event: Event) -> str | None:
    """One source's value in an event of format 1.0, None where it has none or an empty one."""
    root, _, path = source.partition(".")
    if root == "context":
        return context_value(path, event) or None
    if root == "stageVariables":
        return None
    kind, _, name = path.removeprefix("request.").partition(".")
    values = event[_KEYS[kind]] or {}
    found = _of_header(values, name) if _KEYS[kind] == "multiValueHeaders" else values.get(name, [])
    return (",".join(found) if kind.startswith("multi") else "".join(found[-1:])) or None


def _of_header(values: dict[str, list[str]], name: str) -> list[str]:
    return next((found for key, found in values.items() if key.lower() == name.lower()), [])
