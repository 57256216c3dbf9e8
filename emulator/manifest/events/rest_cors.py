"""The CORS settings of `http` events: what the framework's OPTIONS method answers."""

from __future__ import annotations

from collections.abc import Iterable

from emulator.manifest.events.cors import DEFAULT_HEADERS
from emulator.manifest.events.rest_model import RestCors
from emulator.manifest.section import Section


def read(section: Section, method: str) -> RestCors | None:
    """The settings of one event: `true` or an object, None where it has none."""
    value = section.data.get("cors")
    if not value:
        return None
    settings = section.inside("cors") if value is not True else Section(section.resolver, section.where.at("cors"), {})
    origins = settings.strings("origins")
    origin = None if origins else settings.string("origin", "*")
    if origin and "," in origin:
        origins = tuple(part.strip() for part in origin.split(","))
    age, cache = settings.data.get("maxAge"), settings.data.get("cacheControl")
    return RestCors(
        origin=origin,
        origins=origins,
        headers=settings.strings("headers", DEFAULT_HEADERS),
        methods=_union(settings.strings("methods"), ("OPTIONS", method)),
        allow_credentials=bool(settings.data.get("allowCredentials")),
        max_age=settings.integer("maxAge", 0, 0, 2**31 - 1) if age is not None else None,
        cache_control=str(cache) if cache else None,
    )


def merged(events: Iterable[RestCors]) -> RestCors:
    """What one path answers for all of its events, in their order: the framework makes one OPTIONS method of them."""
    first, *others = events
    for later in others:
        first = RestCors(
            origin=later.origin,
            origins=_union(later.origins, first.origins),
            headers=_union(later.headers, first.headers),
            methods=_union(later.methods, first.methods),
            allow_credentials=first.allow_credentials or later.allow_credentials,
            max_age=later.max_age or first.max_age,
            cache_control=later.cache_control or first.cache_control,
        )
    return first


def _union(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*left, *right)))
