"""The manifest's variables: `${env:X, 'default'}`, `${self:a.b}`, `${file(x.yml):key}`, nested at will."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.manifest import braces, document
from emulator.manifest.account import ACCOUNT_ID
from emulator.manifest.document import Document, Place

_SOURCE = re.compile(r"([A-Za-z][\w-]*)(?:\(([^)]*)\))?(?::(.*))?", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_WORDS = {"true": True, "false": False, "null": None}


class _Missing:
    """What a source answers when it has no such value: the next fallback is asked."""


MISSING = _Missing()


@dataclass(frozen=True)
class Sources:
    """What variables draw on besides the manifest itself."""

    environ: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)


class Resolver:
    """Replaces the variables of one manifest; whatever it does not know it refuses, with file and line."""

    def __init__(self, manifest: Document, sources: Sources) -> None:
        self.manifest = manifest
        self.sources = sources
        self.files: dict[Path, Document | str] = {}
        self._asking: list[str] = []  # addresses being looked up, to notice one that needs itself
        self._known: dict[str, Callable[[str, str, Place], Any]] = {
            "env": lambda _, name, __: sources.environ.get(name, MISSING),
            "opt": lambda _, name, __: sources.options.get(name, MISSING),
            "param": self._param,
            "self": lambda _, address, place: self.lookup(address, place),
            "sls": self._sls,
            "aws": self._aws,
            "file": self._file,
            "strToBool": self._boolean,
        }

    def value(self, raw: Any, place: Place) -> Any:
        """`raw` with every variable in it replaced, however deep."""
        if isinstance(raw, str):
            return self.text(raw, place) if "${" in raw else raw
        if isinstance(raw, list):
            return [self.value(item, (*place, index)) for index, item in enumerate(raw)]
        if isinstance(raw, dict):
            return {key: self.value(item, (*place, key)) for key, item in raw.items()}
        return raw

    def text(self, raw: str, place: Place) -> Any:
        """A string with its variables replaced: one variable alone keeps its type, others become text."""
        parts: list[Any] = []
        position = 0
        while (start := braces.next_variable(raw, position)) >= 0:
            end = braces.closing(raw, start + 2)
            if end < 0:
                raise self.manifest.error(f"a variable without its closing brace: {raw[start:]}", place)
            if start > position:
                parts.append(raw[position:start])
            parts.append(self._variable(raw[start + 2 : end], place))
            position = end + 1
        if position < len(raw):
            parts.append(raw[position:])
        if len(parts) == 1:
            return parts[0]
        return "".join(self._fragment(part, raw, place) for part in parts)

    def lookup(self, address: str, place: Place) -> Any:
        """`self:address`: the value that stands there, resolved itself."""
        if address in self._asking:
            raise self.manifest.error(f"${{self:{address}}} refers to itself", place)
        self._asking.append(address)
        try:
            return self._walk(self.manifest.data, address)
        finally:
            self._asking.pop()

    def _walk(self, value: Any, address: str) -> Any:
        place: Place = ()
        for step in address.split(".") if address else ():
            if isinstance(value, str):
                value = self.value(value, place)
            if isinstance(value, list) and step.isdigit() and int(step) < len(value):
                place, value = (*place, int(step)), value[int(step)]
            elif isinstance(value, dict) and step in value:
                place, value = (*place, step), value[step]
            else:
                return MISSING
        return self.value(value, place)

    def _variable(self, inside: str, place: Place) -> Any:
        for source in braces.split(inside):
            found = self._source(source.strip(), place)
            if found is not MISSING and found is not None:
                return found
        if any(source.strip() == "null" for source in braces.split(inside)):
            return None
        raise self.manifest.error(f"nothing gives ${{{inside}}} a value, and it has no default", place)

    def _source(self, source: str, place: Place) -> Any:
        if source[:1] in ("'", '"') and source[-1:] == source[:1] and len(source) > 1:
            return source[1:-1]
        if source in _WORDS:
            return _WORDS[source]
        if _NUMBER.fullmatch(source):
            return float(source) if "." in source else int(source)
        if source.startswith("${") and braces.closing(source, 2) == len(source) - 1:
            return self._nested(source[2:-1], place)
        address = self.text(source, place) if "${" in source else source
        if str(address) in self.sources.params:
            return self.sources.params[str(address)]
        match = _SOURCE.fullmatch(str(address))
        if not match or match[1] not in self._known or (match[2] is None and match[3] is None):
            raise self.manifest.error(self._refusal(source, match), place)
        return self._known[match[1]](match[2] or "", match[3] or "", place)

    def _nested(self, inside: str, place: Place) -> Any:
        """A variable as another's fallback: without a value it passes the question on."""
        for source in braces.split(inside):
            found = self._source(source.strip(), place)
            if found is not MISSING and found is not None:
                return found
        return MISSING

    @staticmethod
    def _refusal(source: str, match: re.Match[str] | None) -> str:
        if match and match[3] is not None and match[1] in ("ssm", "cf", "s3", "git", "terraform", "vault"):
            return f"${{{source}}} lives outside this machine: give it with --param '{source}=value'"
        return f"${{{source}}} is not a variable that the emulator knows"

    def _param(self, _: str, name: str, place: Place) -> Any:
        if name in self.sources.params:
            return self.sources.params[name]
        stage = self._sls("", "stage", place)
        for section in (stage, "default"):
            if (found := self.lookup(f"params.{section}.{name}", place)) is not MISSING:
                return found
        return MISSING

    def _sls(self, _: str, name: str, place: Place) -> Any:
        if name == "instanceId":
            return "local"
        if name != "stage":
            raise self.manifest.error(f"${{sls:{name}}} is not a variable that the emulator knows", place)
        if "stage" in self.sources.options:
            return self.sources.options["stage"]
        if "provider.stage" in self._asking:
            return "dev"
        found = self.lookup("provider.stage", place)
        return "dev" if found is MISSING else found

    def _aws(self, _: str, name: str, place: Place) -> Any:
        if name == "accountId":
            return ACCOUNT_ID
        if name == "region":
            found = self.lookup("provider.region", place)
            return self.sources.options.get("region", "us-east-1") if found is MISSING else found
        raise self.manifest.error(f"${{aws:{name}}} is not a variable that the emulator knows", place)

    def _boolean(self, text: str, _: str, place: Place) -> bool:
        if text.lower() in ("true", "1", "false", "0"):
            return text.lower() in ("true", "1")
        raise self.manifest.error(f"strToBool({text}) is neither true nor false", place)

    def _file(self, name: str, address: str, place: Place) -> Any:
        path = (self.manifest.path.parent / name).resolve()
        if path.suffix in (".js", ".cjs", ".mjs", ".ts"):
            raise self.manifest.error(f"file({name}) is a program, which the emulator does not run", place)
        if not path.exists():
            return MISSING
        if path not in self.files:
            structured = path.suffix in (".yml", ".yaml", ".json")
            self.files[path] = document.read(path) if structured else path.read_text(encoding="utf-8")
        content = self.files[path]
        if isinstance(content, str):
            return content.strip()
        return self._walk(content.data, address)

    def _fragment(self, part: Any, raw: str, place: Place) -> str:
        if isinstance(part, (dict, list)):
            raise self.manifest.error(f"a list or object cannot stand inside the text {raw!r}", place)
        if isinstance(part, bool):
            return str(part).lower()
        return "" if part is None else str(part)
