"""Layers: which folders of this project a function has under /opt when it is deployed."""

from __future__ import annotations

from typing import Any

from emulator.manifest.logical_ids import logical_id
from emulator.manifest.section import Section, shown
from emulator.manifest.variables.resolver import Resolver

LAYER = "LambdaLayer"
PLUGIN = "PythonRequirements"
"""The layer that serverless-python-requirements makes: its packages are those of the functions' Python."""


class Layers:
    """The layers of a manifest, by the names under which `Ref` finds them."""

    def __init__(self, resolver: Resolver) -> None:
        self.folders: dict[str, str] = {}
        """A layer's folder by its logical id; empty where there is none on this machine."""
        for name in Section.at(resolver, "layers").data:
            section = Section.at(resolver, "layers", name)
            self.folders[logical_id(str(name), LAYER)] = self._folder(section)

    def of(self, section: Section, provider: Section) -> tuple[str, ...]:
        """A function's layers, the first one first: the folders of its own list, or else of the provider's."""
        owner = section if section.data.get("layers") is not None else provider
        listed = owner.data.get("layers") or []
        if not isinstance(listed, list):
            raise owner.error("must be a list", "layers")
        return tuple(path for index, layer in enumerate(listed) if (path := self._known(owner, layer, index)))

    def _known(self, owner: Section, layer: Any, index: int) -> str:
        name = str(layer.get("Ref", "")) if isinstance(layer, dict) and len(layer) == 1 else ""
        if name == logical_id(PLUGIN, LAYER):
            return ""
        if name in self.folders:
            return self.folders[name]
        owner.warn(f"the layer {shown(name or layer)} is not here: install its packages to use them", "layers", index)
        return ""

    def _folder(self, section: Section) -> str:
        path = section.data.get("path")
        if not isinstance(path, str):
            section.warn("a layer without a path is not here: install its packages to use them")
            return ""
        folder = section.where.document.path.parent / path
        if not folder.is_dir():
            section.warn(f"there is no folder {shown(path)}: functions run without this layer", "path")
            return ""
        return str(folder)
