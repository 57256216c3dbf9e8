"""YAML files whose every value knows its line, so that an error can name file and line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Place = tuple[str | int, ...]
"""Where a value stands in a document: the keys and indexes that lead to it."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_RADIX = re.compile(r"[-+]?0[xo][0-9a-fA-F]+")


class ManifestError(Exception):
    """What is wrong with a manifest, and where."""

    def __init__(self, message: str, path: Path, line: int | None = None) -> None:
        where = f"{path}:{line}" if line else str(path)
        super().__init__(f"{where}: {message}")


@dataclass
class Document:
    """A parsed file: plain data, and the line of every place in it."""

    path: Path
    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int | None:
        """The line of a place, or of the nearest thing around it that has one."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)

    def error(self, message: str, place: Place = ()) -> ManifestError:
        """An error about the value at `place`, ready to be raised."""
        return ManifestError(message, self.path, self.line(place))


def read(path: Path) -> Document:
    """Parse a YAML (or JSON) file; a ManifestError names the line of whatever is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"cannot be read: {error.strerror}", path) from None
    except UnicodeDecodeError:
        raise ManifestError("is not UTF-8 text", path) from None
    document = Document(path)
    try:
        node = yaml.compose(text, Loader=_Loader)
        document.data = _Reader(document).value(node, ()) if node else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ManifestError(f"{error.problem or 'bad YAML'}", path, mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise ManifestError(f"bad YAML: {error}", path) from None
    return document


class _Reader:
    """Turns YAML nodes into plain data, and notes lines on the way."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.open: list[yaml.Node] = []  # the nodes around this one: an alias to one of them has no end

    def value(self, node: yaml.Node, place: Place) -> Any:
        """The plain value of a node: dict, list, str, int, float, bool or None."""
        self.document.lines.setdefault(place, node.start_mark.line + 1)
        if node in self.open:
            raise self.document.error("an alias that contains itself", place)
        self.open.append(node)
        try:
            plain = self._plain(node, place)
        finally:
            self.open.pop()
        return plain if not _is_short_form(node.tag) else _intrinsic(node.tag, plain)

    def _plain(self, node: yaml.Node, place: Place) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            self.document.lines.setdefault((*place, key), key_node.start_mark.line + 1)
            if key_node.tag.endswith(":merge"):
                parts = self.value(value_node, (*place, key))
                for part in reversed(parts if isinstance(parts, list) else [parts]):
                    merged.update(part)
                continue
            if key in result:
                line = key_node.start_mark.line + 1
                raise ManifestError(f"the key {key!r} stands here twice", self.document.path, line)
            result[key] = self.value(value_node, (*place, key))
        return {**merged, **result}


def _is_short_form(tag: str) -> bool:
    return tag.startswith("!") and tag != "!"


def _intrinsic(tag: str, value: Any) -> dict[str, Any]:
    """CloudFormation's short forms: `!Ref x` is `{Ref: x}`, `!GetAtt x` is `{Fn::GetAtt: x}`."""
    name = tag[1:]
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


def _scalar(node: yaml.Node) -> Any:
    """A scalar as the deploying tool's YAML 1.2 reads it: `yes`, `on`, dates and `1:30` are strings."""
    text: str = node.value
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind == "int" and _DECIMAL.fullmatch(text):
        return int(text)
    if kind == "int" and _RADIX.fullmatch(text):
        return int(text, 0)
    if kind == "float" and ":" not in text and not text.lstrip("+-").startswith((".i", ".I", ".n", ".N")):
        return float(text.replace("_", ""))
    return text
