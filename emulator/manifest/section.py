"""Access to one mapping of the manifest, with checks of its values."""

from __future__ import annotations

from typing import Any

from emulator.manifest.variables.placeholder import Placeholder
from emulator.manifest.variables.resolver import MISSING, Resolver
from emulator.manifest.yaml.document import ManifestError, Place, Where


class Section:
    """One mapping of the manifest, with its variables replaced. Errors have the line of their key."""

    def __init__(self, resolver: Resolver, where: Where, data: Any) -> None:
        self.resolver = resolver
        self.where = where
        if isinstance(data, Placeholder):  # of an object that only an account knows, nothing is known
            data = None
        if data is not None and not isinstance(data, dict):
            raise self.error("must be an object")
        self.data: dict[str, Any] = data or {}

    @classmethod
    def at(cls, resolver: Resolver, *place: str | int) -> Section:
        """The mapping at a place of the manifest, empty if there is none."""
        where = Where(resolver.manifest, place)
        return cls(resolver, where, lookup(resolver, place))

    def inside(self, *keys: str | int) -> Section:
        """The mapping under a key, empty if there is none."""
        data: Any = self.data
        for key in keys:
            data = data.get(key) if isinstance(data, dict) else None
        return Section(self.resolver, self.where.at(*keys), data)

    def error(self, message: str, *keys: str | int) -> ManifestError:
        """An error about a key of this section, or about the section itself."""
        where = self.where.at(*keys)
        return where.error(f"{where.name}: {message}" if where.place else message)

    def warn(self, message: str, *keys: str | int) -> None:
        """Add a warning: a key of this section does not have the effect that it has in a deployment."""
        self.resolver.warn(message, self.where.at(*keys))

    def check(self, known: frozenset[str]) -> None:
        """Report each key that is not known."""
        for key in self.data:
            if key not in known:
                self.unknown(key, "is not a key that belongs here")

    def unknown(self, key: str | int, message: str) -> None:
        """Report a key by `configValidationMode`, as the framework does: `error`, `warn` (the default) or `off`."""
        mode = self.resolver.manifest.data.get("configValidationMode")
        where = self.where.at(key)
        if mode == "error":
            raise self.error(message, key)
        if mode != "off":
            self.resolver.warn(f"{where.name}: {message}; it has no effect", where)

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number within its bounds. A text of digits is accepted, because variables often are texts."""
        value = self.data.get(key)
        if value is None or isinstance(value, Placeholder):
            return default
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.error(f"must be a whole number from {low} to {high}, not {shown(value)}", key)
        return value

    def string(self, key: str, default: str | None = None) -> str:
        """A text. Without a default it is required."""
        value = self.data.get(key)
        if value is None and default is not None:
            return default
        if value is None:
            raise self.error(f"needs a value for {key!r}")
        if not isinstance(value, str) or not value:
            raise self.error(f"must be a text, not {shown(value)}", key)
        return value

    def known_string(self, key: str) -> str:
        """A required text, without placeholders."""
        value = self.string(key)
        if isinstance(value, Placeholder):
            raise self.error(f"needs a value here, not {value}: give it with --param", key)
        return value

    def strings(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of texts; one text is a list of one."""
        value = self.data.get(key)
        if value is None:
            return default
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str) for item in items):
            raise self.error("must be a list of texts", key)
        return tuple(items)


def lookup(resolver: Resolver, place: Place) -> Any:
    """The resolved value at a place of the manifest, None where there is none."""
    if not place:
        return resolver.manifest.data
    found = resolver.lookup(".".join(map(str, place)), Where(resolver.manifest, place))
    return None if found is MISSING else found


def shown(value: object) -> str:
    """A value as it is shown in an error."""
    return repr(value)[:100]
