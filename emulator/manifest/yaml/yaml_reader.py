"""Reads a YAML (or JSON) file into a Document, as the Serverless Framework's parser reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from emulator.manifest.yaml import files, scalars
from emulator.manifest.yaml.document import Document, ManifestError, Place, Where
from emulator.manifest.yaml.limits import MAX_DEPTH, MAX_SIZE, VALUE, size

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STANDARD = "tag:yaml.org,2002:"
_CONVERTED = ("int", "float", "bool", "null")
_KEPT = ("str", "map", "seq", "set", "omap", "pairs", "binary", "timestamp")
_MERGE = "<<"
_JSON = (".json", ".tfstate")
_ESCAPE = re.compile(r"\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|ud[89a-f][0-9a-f]{2}|.)", re.IGNORECASE)


def read(path: Path) -> Document:
    """Parse a file; a ManifestError names the line of whatever is wrong with it."""
    document = Document(path, files.stamp(path))
    try:
        text = files.text(path)
    except files.FileError as error:
        raise ManifestError(str(error), path) from None
    if path.suffix in _JSON:
        text = _ESCAPE.sub(_unescaped, text)
    try:
        _Reader(document, yaml.parse(text, Loader=_Loader)).read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ManifestError(error.problem or "bad YAML", path, mark.line + 1 if mark else None) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ManifestError(f"bad YAML: {error.reason}", path, line) from None
    return document


def _unescaped(escape: re.Match[str]) -> str:
    """JSON writes a character outside of 16 bits as two escapes, which YAML does not know; half of one is U+FFFD."""
    if escape[1]:
        return bytes.fromhex(escape[1] + escape[2]).decode("utf-16-be")
    return "\N{REPLACEMENT CHARACTER}" if len(escape[0]) > len(r"\n") else escape[0]


class _Reader:
    """Makes plain data of the parser's events, and notes the lines."""

    def __init__(self, document: Document, events: Iterator[Any]) -> None:
        self.document = document
        self.events = events
        self.size = 0
        self.anchors: dict[str, tuple[Any, Place, int] | None] = {}  # None while the value is being read

    def read(self) -> None:
        """Read the only document of the file."""
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if self.document.lines:
                    raise self._error("a manifest is one YAML document, and here begins another", event)
                first = next(self.events)
                self.document.data = self._value(first, ())

    def _value(self, event: Any, place: Place) -> Any:
        self.document.lines.setdefault(place, event.start_mark.line + 1)
        if len(place) > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} lists and objects within one another", event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, place)
        before = self.size
        if event.anchor:
            self.anchors[event.anchor] = None
        self._count(size(event.value) if isinstance(event, yaml.ScalarEvent) else VALUE, event)
        value = self._tagged(event, self._plain(event, place))
        if event.anchor:
            self.anchors[event.anchor] = value, place, self.size - before
        return value

    def _plain(self, event: Any, place: Place) -> Any:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(place)
        if isinstance(event, yaml.SequenceStartEvent):
            return [self._value(item, (*place, index)) for index, item in enumerate(self._items(yaml.SequenceEndEvent))]
        return self._scalar(event)

    def _items(self, end: type) -> Iterator[Any]:
        while not isinstance(event := next(self.events), end):
            yield event

    def _alias(self, event: Any, place: Place) -> Any:
        if event.anchor not in self.anchors:
            raise self._error(f"there is no anchor {event.anchor!r}", event)
        anchored = self.anchors[event.anchor]
        if anchored is None:
            raise self._error("an alias that contains itself", event)
        value, source, weight = anchored
        self._count(weight, event)
        self.document.sources[place] = Where(self.document, source)
        return value

    def _mapping(self, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        merges = 0
        for event in self._items(yaml.MappingEndEvent):
            key = self._key(event)
            line = event.start_mark.line + 1
            if key == _MERGE and event.implicit[0]:
                merges += 1  # a negative step cannot be a key or an index
                self._merge((*place, -merges), merged, event)
                continue
            if key in result:
                raise self._error(f"the key {key!r} is here twice", event)
            self.document.lines[(*place, key)] = line
            result[key] = self._value(next(self.events), (*place, key))
        for key in merged.keys() - result.keys():
            self.document.sources[(*place, key)] = merged[key][1]
        return {**{key: value for key, (value, _) in merged.items()}, **result}

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._error("a key must be a text", event)
        self._count(size(event.value), event)
        return scalars.spelled(self._scalar(event))

    def _merge(self, place: Place, merged: dict[str, Any], event: Any) -> None:
        found = self._value(next(self.events), place)
        parts = found if isinstance(found, list) else [found]
        for index, part in enumerate(parts):
            if not isinstance(part, dict):
                raise self._error("a merge key needs an object, or a list of objects", event)
            source = Where(self.document, (*place, index) if isinstance(found, list) else place)
            for key, value in part.items():
                merged.setdefault(key, (value, source.at(key)))

    def _scalar(self, event: Any) -> scalars.Scalar:
        tag = (event.tag or "").removeprefix(_STANDARD)
        text: str = event.value
        if not (event.implicit[0] and not event.tag) and tag not in _CONVERTED:
            return text
        try:
            return scalars.plain(text)
        except scalars.ScalarError as error:
            raise self._error(str(error), event) from None

    def _tagged(self, event: Any, value: Any) -> Any:
        """CloudFormation's short forms: `!Ref x` is `{Ref: x}`, `!GetAtt x` is `{Fn::GetAtt: x}`."""
        tag: str = event.tag or "!"
        if tag == "!" or tag.removeprefix(_STANDARD) in (*_CONVERTED, *_KEPT):
            return value
        if not tag.startswith("!"):
            raise self._error(f"the tag {tag!r} is not one that the framework knows", event)
        name = tag[1:]
        return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}

    def _count(self, amount: int, event: Any) -> None:
        self.size += amount
        if self.size > MAX_SIZE:
            raise self._error("more values than a manifest may hold, its aliases counted", event)

    def _error(self, message: str, event: Any) -> ManifestError:
        return ManifestError(message, self.document.path, event.start_mark.line + 1)
