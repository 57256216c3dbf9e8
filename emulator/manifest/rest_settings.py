"""The settings of the REST API: `provider.apiGateway`."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.manifest.section import Section


@dataclass(frozen=True, slots=True)
class RestSettings:
    """What holds for all routes of the REST API."""

    binary_types: tuple[str, ...] = ()
    """The media types whose bodies are bytes."""


def read(provider: Section) -> RestSettings:
    """The settings of a manifest's provider."""
    section = provider.inside("apiGateway")
    return RestSettings(binary_types=section.strings("binaryMediaTypes"))
