"""One mapping of the manifest at a time, its values checked as somebody asks for them."""

from __future__ import annotations

from emulator.manifest.document import ManifestError, Place, Where
from emulator.manifest.resolver import MISSING, Resolver


class Section:
    """One mapping of the manifest with its variables resolved, and errors that know their line."""

    def __init__(self, resolver: Resolver, place: Place) -> None:
        self.resolver = resolver
        self.where = Where(resolver.manifest, place)
        found = resolver.lookup(".".join(map(str, place)), self.where) if place else resolver.manifest.data
        self.data = {} if found is MISSING or found is None else found
        if not isinstance(self.data, dict):
            raise self.error("must be an object")

    def error(self, message: str, *keys: str | int) -> ManifestError:
        """An error about a key of this section, or about the section itself."""
        where = self.where.at(*keys)
        return where.error(f"{where.name}: {message}" if where.place else message)

    def check(self, known: frozenset[str]) -> None:
        """Refuse a key that nobody would read."""
        for key in self.data:
            if key not in known:
                raise self.error("is not a key that belongs here", key)

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number within its bounds; text of digits counts, as variables often give that."""
        value = self.data.get(key)
        if value is None:
            return default
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.error(f"must be a whole number from {low} to {high}, not {value!r}", key)
        return value

    def string(self, key: str, default: str | None = None) -> str:
        """A text; without a default it must be there."""
        value = self.data.get(key)
        if value is None and default is not None:
            return default
        if value is None:
            raise self.error(f"needs a value for {key!r}")
        if not isinstance(value, str) or not value:
            raise self.error(f"must be a text, not {value!r}", key)
        return value
