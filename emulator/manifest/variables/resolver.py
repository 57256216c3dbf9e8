"""Replaces the variables of a manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from emulator.manifest.variables import braces
from emulator.manifest.variables.placeholder import Placeholder
from emulator.manifest.yaml import files, scalars, yaml_reader
from emulator.manifest.yaml.document import Document, Place, Where
from emulator.manifest.yaml.limits import VARIABLE, measured, size
from emulator.manifest.yaml.work import Work

STRUCTURED = (".yml", ".yaml", ".json", ".tfstate")


class _Missing:
    """The result of a source that does not have the value. The next source is then asked."""


MISSING = _Missing()


Source = Callable[["Resolver", str, str, Where], Any]
"""A source of values, as `file` in `${file(part.yml):key}`. It is called with parameters and address.

It returns the value, or MISSING where there is none; an error is a ManifestError at the given place.
"""


class Sources(Protocol):
    """The sources that a manifest can name."""

    def given(self, variable: str) -> str | None:
        """The value that the command line gives this variable, whatever its source."""

    def find(self, variable: str, where: Where) -> tuple[Source, str, str] | None:
        """The source of a variable, its parameters and its address; None if only a service elsewhere has the value."""


class Resolver:
    """Replaces the variables of one manifest. An unknown variable is an error with file and line."""

    def __init__(self, manifest: Document, sources: Sources) -> None:
        self.manifest = manifest
        self.sources = sources
        self._files: dict[Path, Document] = {}
        self._absent: set[Path] = set()
        self.warnings: dict[str, None] = {}  # in their order, each once
        self._pending: list[tuple[Path, str]] = []  # what is being looked up, to find cycles
        self._found: dict[tuple[Path, str], tuple[Any, int]] = {}
        self._written: dict[int, Where] = {}  # where a list or object of _found is written, by its id
        self._steps: dict[tuple[Path, Place], Any] = {}
        self._work = Work()

    def stamps(self) -> dict[Path, files.Stamp]:
        """The files that were read or looked for so far, with their stamps from before that."""
        documents = (self.manifest, *self._files.values())
        return {**dict.fromkeys(self._absent, files.ABSENT), **{each.path: each.stamp for each in documents}}

    def warn(self, message: str, where: Where) -> None:
        """Add a warning: something does not have the effect that it has in a deployment."""
        self.warnings.setdefault(f"{where}: {message}")

    def value(self, raw: Any, where: Where) -> Any:
        """`raw` with every variable in it replaced, however deep."""
        self._work.spend(size(raw), where)
        if isinstance(raw, str):
            return self.text(raw, where) if "${" in raw else raw
        if not isinstance(raw, (list, dict)):
            return raw
        with self._work.level(where, 1):
            if isinstance(raw, list):
                return [self.value(item, where.at(index)) for index, item in enumerate(raw)]
            return {key: self.value(item, where.at(key)) for key, item in raw.items()}

    def text(self, raw: str, where: Where) -> Any:
        """A string with its variables replaced: a string that is only one variable keeps its type."""
        self._work.spend(len(raw), where)
        parts: list[Any] = []
        position = 0
        while (start := braces.next_variable(raw, position)) >= 0:
            end = braces.closing(raw, start + 2)
            if end < 0:
                raise where.error(f"a variable without its closing brace: {raw[start : start + 100]}")
            if start > position:
                parts.append(braces.literal(raw[position:start], before_variable=True))
            parts.append(self._variable(raw[start + 2 : end], where))
            position = end + 1
        if position < len(raw):
            parts.append(braces.literal(raw[position:], before_variable=False))
        if len(parts) > 1:
            return self._joined(parts, raw, where)
        if (source := self._written.get(id(parts[0]))) is not None:
            where.document.sources[where.place] = source
        return parts[0]

    def lookup(self, address: str, where: Where) -> Any:
        """`self:address`: the resolved value at that address of the manifest, MISSING where there is none."""
        return self.find(self.manifest, address, where)

    def find(self, document: Document, address: str, where: Where) -> Any:
        """The resolved value at an address of a file."""
        key = (document.path, address)
        if key in self._pending:
            raise where.error(f"{self._named(*key)} refers to itself")
        if key not in self._found:
            self._pending.append(key)
            try:
                value = self._walk(document, address)
            finally:
                self._pending.pop()
            self._found[key] = value, self._work.measured(value, where)
        else:
            self._work.spend(self._found[key][1], where)
        return self._found[key][0]

    def being_looked_up(self, address: str) -> bool:
        """Whether this address of the manifest is being looked up now."""
        return (self.manifest.path, address) in self._pending

    def read(self, name: str, where: Where) -> Document | None:
        """A file, by its path from the manifest's folder; None if it does not exist."""
        try:
            path = (self.manifest.path.parent / name).resolve()
            exists = path.exists()
        except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, a NUL
            raise where.error(f"file({name[:100]}) cannot be read: {error}") from None
        if not exists:
            self._absent.add(path)
            return None
        if path not in self._files:
            self._files[path] = self._document(path, name, where)
        return self._files[path]

    def _document(self, path: Path, name: str, where: Where) -> Document:
        try:
            if path.suffix not in STRUCTURED:
                return Document(path, files.stamp(path), files.text(path))
        except files.FileError as error:
            raise where.error(f"file({name}) {error}") from None
        document = yaml_reader.read(path)
        self._work.spend(measured(document.data)[0], where)
        return document

    def _walk(self, document: Document, address: str) -> Any:
        value, where = document.data, Where(document)
        for step in address.split(".") if address else ():
            if isinstance(value, str):
                value = self._step(value, where)
            if isinstance(value, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(value):
                where, value = where.at(int(step)), value[int(step)]
            elif isinstance(value, dict) and step in value:
                where, value = where.at(step), value[step]
            else:
                return MISSING
        found = self.value(value, where)
        if isinstance(found, (list, dict)):
            self._written.setdefault(id(found), where)
        return found

    def _step(self, raw: str, where: Where) -> Any:
        """A value on the path to another. It is resolved once, and later uses are not counted."""
        key = (where.document.path, where.place)
        if key not in self._steps:
            self._steps[key] = self.value(raw, where)
        return self._steps[key]

    def _variable(self, inside: str, where: Where) -> Any:
        missed: list[str] = []
        found = self._first(inside, where, missed)
        if found is not MISSING:
            for variable in missed:
                self.warn(f"${{{variable}}} cannot be asked for here: its default is used", where)
            return found
        if any(source.strip() == "null" for source in braces.split(inside)):
            return None
        if not missed:
            raise where.error(f"nothing gives ${{{inside}}} a value, and it has no default")
        variable = missed[0]
        self.warn(
            f"${{{variable}}} cannot be asked for here: its value is a placeholder, or give it with "
            f"--param '{variable}=value'",
            where,
        )
        return Placeholder(f"<{variable}>")

    def _first(self, inside: str, where: Where, missed: list[str]) -> Any:
        """The value of the first source that has one; `missed` collects the variables that cannot be asked for here."""
        with self._work.level(where, VARIABLE):
            for source in braces.split(inside):
                found = self._source(source.strip(), where, missed)
                if found is not MISSING and found is not None:
                    return found
        return MISSING

    def _source(self, source: str, where: Where, missed: list[str]) -> Any:
        self._work.spend(size(source), where)
        if source[:1] in ("'", '"') and source[-1:] == source[:1] and len(source) > 1:
            return source[1:-1]
        if source.startswith("${") and braces.closing(source, 2) == len(source) - 1:
            return self._first(source[2:-1], where, missed)
        variable = str(self.text(source, where)) if "${" in source else source
        if (given := self.sources.given(variable)) is not None:
            return given
        if source and not isinstance(literal := self._literal(source, where), str):
            return literal
        found = self.sources.find(variable, where)
        if found is None:
            missed.append(variable)
            return MISSING
        ask, parameters, address = found
        return ask(self, parameters, address, where)

    def _literal(self, source: str, where: Where) -> scalars.Scalar:
        try:
            return scalars.plain(source)
        except scalars.ScalarError as error:
            raise where.error(str(error)) from None

    def _joined(self, parts: list[Any], raw: str, where: Where) -> str:
        texts = []
        for part in parts:
            if isinstance(part, (dict, list)):
                raise where.error(f"a list or object cannot be inside the text {raw[:100]!r}")
            texts.append("" if part is None else scalars.spelled(part))
            self._work.spend(len(texts[-1]), where)
        kind = Placeholder if any(isinstance(part, Placeholder) for part in parts) else str
        return kind("".join(texts))

    def _named(self, path: Path, address: str) -> str:
        return f"${{self:{address}}}" if path == self.manifest.path else f"${{file({path.name}):{address}}}"
