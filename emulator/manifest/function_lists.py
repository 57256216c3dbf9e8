"""Merges `functions` that is a list, often with one object for each file, as the framework does."""

from __future__ import annotations

from typing import Any

from emulator.manifest.variables.resolver import Resolver
from emulator.manifest.yaml.document import Where


def join(resolver: Resolver) -> None:
    """Replace the list by one object. Of two definitions of a function the later one has precedence, with a warning."""
    where = Where(resolver.manifest, ("functions",))
    parts = resolver.manifest.data.get("functions")
    if not isinstance(parts, list):
        return
    joined: dict[str, Any] = {}
    for index, raw in enumerate(parts):
        part = resolver.value(raw, where.at(index))
        if part is None:
            continue
        if not isinstance(part, dict):
            raise where.at(index).error("functions: must be objects, each of functions by their names")
        for name, value in part.items():
            _add(resolver, joined, name, value, where.at(index, name))
    resolver.manifest.data["functions"] = joined


def _add(resolver: Resolver, joined: dict[str, Any], name: str, value: Any, where: Where) -> None:
    place = Where(resolver.manifest, ("functions", name))
    if name in joined:
        resolver.warn(f"the function {name} is also defined at {place}: the keys here have precedence", where)
        _record(joined[name], value, place, where)
        joined[name] = merged(joined[name], value)
    else:
        joined[name] = value
        resolver.manifest.sources[place.place] = where


def _record(first: Any, second: Any, place: Where, where: Where) -> None:
    """Note the place of each key that the second definition sets."""
    if not isinstance(first, dict) or not isinstance(second, dict):
        place.document.sources[place.place] = where
        return
    for key, value in second.items():
        _record(first.get(key), value, place.at(key), where.at(key))


def merged(first: Any, second: Any) -> Any:
    """Two values as the framework merges them: objects by key, lists by index, and otherwise the second."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {**first, **{key: merged(first.get(key), value) for key, value in second.items()}}
    if isinstance(first, list) and isinstance(second, list):
        joint = [merged(one, other) for one, other in zip(first, second, strict=False)]
        return joint + first[len(second) :] + second[len(first) :]
    return second
