"""The CORS settings of an HTTP API."""

from __future__ import annotations

from collections.abc import Iterable

from emulator.manifest import known_keys
from emulator.manifest.model import Cors
from emulator.manifest.section import Section

DEFAULT_HEADERS = (
    "Content-Type",
    "X-Amz-Date",
    "Authorization",
    "X-Api-Key",
    "X-Amz-Security-Token",
    "X-Amz-User-Agent",
    "X-Amzn-Trace-Id",
)
"""The headers that the framework allows when the manifest names none."""


def read(section: Section, key: str, default_methods: Iterable[str]) -> Cors | None:
    """The settings under `key`. `true` means the framework's defaults; without settings the result is None."""
    value = section.data.get(key)
    if value is None or value is False:
        return None
    settings = section.inside(key) if value is not True else Section(section.resolver, section.where.at(key), {})
    settings.check(known_keys.CORS)
    age = settings.data.get("maxAge")
    if age is not None and (isinstance(age, bool) or not isinstance(age, int)):
        raise settings.error("is a number of seconds", "maxAge")
    return Cors(
        allowed_origins=settings.strings("allowedOrigins", ("*",)),
        allowed_methods=settings.strings("allowedMethods", tuple(default_methods)),
        allowed_headers=settings.strings("allowedHeaders", DEFAULT_HEADERS),
        exposed_headers=settings.strings("exposedResponseHeaders"),
        max_age=age,
        allow_credentials=settings.data.get("allowCredentials") is True,
    )
