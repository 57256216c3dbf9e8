"""The settings of the REST API: `provider.apiGateway`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from emulator.manifest import known_keys
from emulator.manifest.events.rest_model import ApiKey, RestSettings
from emulator.manifest.section import Section
from emulator.manifest.variables.placeholder import Placeholder

_WITHOUT_EFFECT = {
    "resourcePolicy": "it refuses nobody here",
    "usagePlan": "it limits nobody here",
    "minimumCompressionSize": "answers are not compressed here",
    "websocketApiId": "only the WebSocket routes of this manifest are served here",
}


def read(provider: Section, deployment: str) -> RestSettings:
    """The settings of a manifest's provider; `deployment` names the service and its stage."""
    section = provider.inside("apiGateway")
    section.check(known_keys.API_GATEWAY)
    for key, effect in _WITHOUT_EFFECT.items():
        if section.data.get(key):
            section.warn(f"provider.apiGateway.{key} is not emulated: {effect}", key)
    source = section.string("apiKeySourceType", "HEADER").upper()
    if source not in ("HEADER", "AUTHORIZER"):
        raise section.error("must be HEADER or AUTHORIZER", "apiKeySourceType")
    return RestSettings(
        binary_types=section.strings("binaryMediaTypes"),
        keys=tuple(_keys(section, deployment)),
        stage=section.string("stage", "") or None,
        key_of_authorizer=source == "AUTHORIZER",
    )


def _keys(section: Section, deployment: str) -> Iterator[ApiKey]:
    listed = section.data.get("apiKeys") or []
    if not isinstance(listed, list):
        raise section.error("must be a list", "apiKeys")
    for number, written in enumerate(_flat(listed), 1):
        settings = {"name": written} if isinstance(written, str) else written
        if not isinstance(settings, dict):
            raise section.error("an API key is a name, or an object with a name or a value", "apiKeys")
        if settings.get("enabled", True) is not False:
            yield _key(settings, number, deployment)


def _flat(listed: list[Any]) -> Iterator[Any]:
    """Every key; those of a usage plan are a list under the plan's name."""
    for one in listed:
        plan = next(iter(one.values()), None) if isinstance(one, dict) else None
        yield from plan if isinstance(plan, list) else [one]


def _key(settings: dict[str, Any], number: int, deployment: str) -> ApiKey:
    name, value = str(settings.get("name") or f"key {number}"), settings.get("value")
    digest = hashlib.sha256(f"{deployment} {name}".encode()).hexdigest()
    known = value is not None and not isinstance(value, Placeholder)
    return ApiKey(digest[-10:], name, str(value) if known else digest[:40], not known)
