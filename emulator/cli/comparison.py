"""Compares an answer with a recorded one; ids, times and cursors that correspond are matched."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MASK = "****"
LONGEST = 160
"""Characters of a value in a difference."""

_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_MARKS = re.compile(f"({_UUID})|({_TIME})")
_OPAQUE_NAME = re.compile(
    r"(?:^|[_-])(?:id|cursor|token|etag|request[_-]?id)$|(?<=[a-z])(?:Id|Cursor|Token)$", re.IGNORECASE
)
_OPAQUE = re.compile(r"[A-Za-z0-9_+/=.:-]{12,}")
_DIFFERENT_EACH_TIME = frozenset(
    {"date", "server", "connection", "content-length", "apigw-requestid", "x-amzn-requestid", "x-amzn-trace-id"}
)
"""Headers that say nothing about what the function did."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that is not as it was."""

    field: str
    recorded: str
    now: str

    def __str__(self) -> str:
        return f"{self.field}: {self.recorded} -> {self.now}"


@dataclass(slots=True)
class Matcher:
    """Knows which id or cursor of this run stands for which one of the recording.

    An id stands for one id alone, in both directions. Of times only the form is compared.
    """

    now: dict[str, str] = field(default_factory=dict)
    """By the recorded one."""
    recorded: dict[str, str] = field(default_factory=dict)
    """By the present one."""
    times: dict[str, str] = field(default_factory=dict)

    def translated(self, text: str) -> str:
        """A recorded text with everything that is known put in its place, to be sent now."""
        known = self.times | self.now
        if not known:
            return text
        longest_first = sorted(known, key=len, reverse=True)
        pattern = re.compile("|".join(re.escape(one) for one in longest_first))
        return pattern.sub(lambda found: known[found[0]], text)

    def differences(self, recorded: dict[str, Any], now: dict[str, Any], ignored: frozenset[str]) -> list[Difference]:
        """The differences of two answers: `status`, `headers` (pairs), `body` and `base64`."""
        found: list[Difference] = []
        if recorded["status"] != now["status"]:
            found.append(Difference("status", str(recorded["status"]), str(now["status"])))
        found += self._headers(recorded["headers"], now["headers"])
        found += self._bodies(recorded, now)
        return [one for one in found if not _is_ignored(one.field, ignored)]

    def _headers(self, recorded: list[list[str]], now: list[list[str]]) -> Iterator[Difference]:
        before, after = _by_name(recorded), _by_name(now)
        for name in sorted((before.keys() | after.keys()) - _DIFFERENT_EACH_TIME):
            yield from self._compare(f"headers.{name}", before.get(name), after.get(name))

    def _bodies(self, recorded: dict[str, Any], now: dict[str, Any]) -> Iterator[Difference]:
        before, after = (_parsed(one["body"], encoded=one["base64"]) for one in (recorded, now))
        yield from self._compare("body", before, after)

    def _compare(self, path: str, recorded: Any, now: Any, name: str = "") -> Iterator[Difference]:
        if isinstance(recorded, dict) and isinstance(now, dict):
            for key in recorded.keys() | now.keys() if recorded.keys() != now.keys() else recorded:
                missing = "(nothing)"
                if key not in recorded or key not in now:
                    yield Difference(f"{path}.{key}", _shown(recorded.get(key, missing)), _shown(now.get(key, missing)))
                else:
                    yield from self._compare(f"{path}.{key}", recorded[key], now[key], key)
        elif isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
            for place, (one, other) in enumerate(zip(recorded, now, strict=True)):
                yield from self._compare(f"{path}[{place}]", one, other, name)
        elif isinstance(recorded, list) and isinstance(now, list):
            yield Difference(path, f"{len(recorded)} items", f"{len(now)} items")
        elif not self._is_same(recorded, now, name):
            yield Difference(path, _shown(recorded), _shown(now))

    def _is_same(self, recorded: Any, now: Any, name: str) -> bool:
        if type(recorded) is type(now) and recorded == now:
            return not isinstance(now, str) or self._may_stay(now)
        if not isinstance(recorded, str) or not isinstance(now, str):
            return False
        if recorded == MASK:
            return True
        if _OPAQUE_NAME.search(name) and _OPAQUE.fullmatch(recorded) and _OPAQUE.fullmatch(now):
            return self._correspond(recorded, now)
        before, after = _MARKS.split(recorded), _MARKS.split(now)
        if len(before) != len(after) or before[::3] != after[::3]:
            return False
        pairs = zip(before[1::3], after[1::3], before[2::3], after[2::3], strict=True)
        return all(self._mark(*pair) for pair in pairs)

    def _mark(self, id_before: str | None, id_now: str | None, time_before: str | None, time_now: str | None) -> bool:
        if id_before and id_now:
            return self._correspond(id_before, id_now)
        if time_before and time_now:
            self.times.setdefault(time_before, time_now)
            return True
        return False

    def _correspond(self, recorded: str, now: str) -> bool:
        return self.now.setdefault(recorded, now) == now and self.recorded.setdefault(now, recorded) == recorded

    def _may_stay(self, text: str) -> bool:
        """Whether a text that is the same has no id that stands for another one."""
        ids = (found[1] for found in _MARKS.finditer(text) if found[1])
        return all(self._correspond(one, one) for one in ids)


def _by_name(headers: list[list[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def _parsed(body: str, *, encoded: bool) -> Any:
    if not encoded:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            pass
    return body


def _shown(value: Any) -> str:
    text = value if value == "(nothing)" else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _is_ignored(path: str, ignored: frozenset[str]) -> bool:
    plain = re.sub(r"\[\d+\]", "", path)
    return any(plain == one or plain.startswith(f"{one}.") for one in ignored)
