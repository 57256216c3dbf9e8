"""What a manifest has besides its APIs that needs an address of its own."""

from __future__ import annotations

from typing import Literal, NamedTuple

from emulator.manifest.model import Manifest


class Address(NamedTuple):
    """A function URL, by its function's name, or the listener of a load balancer, by its ARN or its name."""

    kind: Literal["URL", "ALB"]
    name: str

    def __str__(self) -> str:
        return f"{self.name} has a function URL" if self.kind == "URL" else f"the listener {self.name} has rules"


def of_manifest(manifest: Manifest) -> list[Address]:
    """Every address of a manifest."""
    urls = [Address("URL", url.function.name) for url in manifest.urls]
    return [*urls, *(Address("ALB", one) for one in manifest.alb_listeners)]
