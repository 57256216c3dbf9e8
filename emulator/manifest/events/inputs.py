"""The input of a schedule's function: the event, a part of it, a constant, or a filled template."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_PATH = re.compile(r"\$((?:\.[\w-]+|\[\d{1,4}\])*)")
_STEP = re.compile(r"\.([\w-]+)|\[(\d+)\]")
_VARIABLE = re.compile(r"<([\w.-]+)>")
_EVENT = "aws.events.event.json"
_RULE_ARN = "aws.events.rule-arn"
_RULE_NAME = "aws.events.rule-name"


@dataclass(frozen=True, slots=True)
class Whole:
    """The event as it is."""

    def of(self, event: Any) -> Any:
        """What is sent for this event."""
        return event


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value at each call."""

    value: Any = field(hash=False)

    def of(self, _: Any) -> Any:
        """What is sent for any event."""
        return self.value


@dataclass(frozen=True, slots=True)
class Path:
    """A part of the event, such as `$.detail` or `$.resources[0]`. Any other form of path is a ValueError."""

    path: str

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path):
            raise ValueError(f"{self.path!r} is not a path like $.detail or $.resources[0]")

    def of(self, event: Any) -> Any:
        """The part, or None if the event does not have it."""
        for key, index in _STEP.findall(self.path):
            if key:
                event = event.get(key) if isinstance(event, dict) else None
            else:
                event = event[int(index)] if isinstance(event, list) and int(index) < len(event) else None
        return event


@dataclass(frozen=True, slots=True)
class Template:
    """A JSON text with `<names>`, each of which is replaced by a part of the event.

    A ValueError says that the result would not be JSON, or that a name has no path.
    """

    text: str
    paths: Mapping[str, str] = field(hash=False)

    def __post_init__(self) -> None:
        for path in self.paths.values():
            Path(path)
        try:
            self.of({})
        except ValueError:
            raise ValueError("is not JSON; a template that is a text needs quotes inside it") from None

    def of(self, event: Any) -> Any:
        """The event that the filled template makes."""
        parts, quoted, position = [], False, 0
        for match in _VARIABLE.finditer(self.text):
            before = self.text[position : match.start()]
            quoted ^= len(re.findall(r'(?<!\\)"', before)) % 2 == 1
            parts += [before, self._filled(match, event, quoted=quoted)]
            position = match.end()
        return json.loads("".join([*parts, self.text[position:]]))

    def _filled(self, match: re.Match[str], event: Any, *, quoted: bool) -> str:
        value = self._value(match[1], event)
        if not quoted:
            return json.dumps(value)
        text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
        return json.dumps(text)[1:-1]

    def _value(self, name: str, event: Any) -> Any:
        if name in self.paths:
            return Path(self.paths[name]).of(event)
        if name == _EVENT:
            return event
        rule = Path("$.resources[0]").of(event)
        if name == _RULE_ARN:
            return rule
        if name == _RULE_NAME:
            return str(rule).rpartition("/")[2]
        raise ValueError(f"<{name}> is not in inputPathsMap")


Input = Whole | Constant | Path | Template
