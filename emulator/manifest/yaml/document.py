"""A parsed file of a manifest: its data, and the file and line of every value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.manifest.yaml.files import Stamp

Place = tuple[str | int, ...]
"""The keys and indexes that lead to a value in a document."""

MAX_MESSAGE = 400
"""The most characters of an error's message, because it can quote the manifest."""


class ManifestError(Exception):
    """What is wrong with a manifest, and where: one line of text."""

    def __init__(self, message: str, path: Path, line: int | None = None) -> None:
        where = f"{path}:{line}" if line else str(path)
        super().__init__(f"{where}: {' '.join(message.split())[:MAX_MESSAGE]}")


@dataclass
class Document:
    """A parsed file."""

    path: Path
    stamp: Stamp
    """Taken before the file was read."""
    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    """The line of each place that is written in this file."""
    sources: dict[Place, Where] = field(default_factory=dict)
    """For a value that comes from an alias, a merge key or a variable: where it is written."""

    def line(self, place: Place) -> int | None:
        """The line of a place, or of the nearest value around it that has a line."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a document."""

    document: Document
    place: Place = ()

    def at(self, *steps: str | int) -> Where:
        """A place inside this one."""
        return Where(self.document, (*self.place, *steps))

    @property
    def name(self) -> str:
        """The keys that lead here, as in `functions.create.timeout`."""
        return ".".join(map(str, self.place))

    @property
    def line(self) -> int:
        """The line in which the value is written, 1 where it has none."""
        found = self.written()
        return found.document.line(found.place) or 1

    def written(self) -> Where:
        """The place where the value is written. It can be in another file."""
        found = self
        while (source := found._source()) is not None:
            found = source
        return found

    def error(self, message: str) -> ManifestError:
        """An error about the value at this place, ready to be raised."""
        found = self.written()
        return ManifestError(message, found.document.path, found.document.line(found.place))

    def __str__(self) -> str:
        found = self.written()
        line = found.document.line(found.place)
        return f"{found.document.path}:{line}" if line else str(found.document.path)

    def _source(self) -> Where | None:
        for end in range(len(self.place), -1, -1):
            source = self.document.sources.get(self.place[:end])
            if source is not None:
                return source.at(*self.place[end:])
        return None
