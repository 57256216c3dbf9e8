"""The record of all calls and their answers: one file of JSON lines for each process, readable after it was killed.

Each call writes one line before it begins and one after it has ended. Both have a time of CLOCK_MONOTONIC, which all
processes of a machine share. A line is one `write` at the end of the file, so it survives the death of its process. An
incomplete last line is ignored. A call without its second line may or may not have taken effect.
"""

import itertools
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

OK = "ok"
TIMED_OUT = "database_timeout"
UNANSWERED = "unanswered"
UNKNOWN = (TIMED_OUT, UNANSWERED)
"""Outcomes after which it is unknown whether a write was committed."""

Fields = dict[str, Any]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of one caller. `value` is the answer; without an answer `end` is infinite."""

    caller: str
    operation: str
    arguments: Fields
    begin: float
    end: float = math.inf
    outcome: str = UNANSWERED
    value: Fields = {}

    @property
    def may_be_committed(self) -> bool:
        """Whether the write of this call may have been committed."""
        return self.outcome == OK or self.outcome in UNKNOWN


class _Begun(msgspec.Struct, tag="begun", array_like=True):
    number: int
    caller: str
    operation: str
    arguments: Fields
    begin: float


class _Ended(msgspec.Struct, tag="ended", array_like=True):
    number: int
    end: float
    outcome: str
    value: Fields


class Recorder:
    """Makes calls and records them. Any number of threads may use it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        self._numbers = itertools.count()
        self._encoder = msgspec.json.Encoder()

    def call(
        self, caller: str, operation: str, arguments: Fields, ask: Callable[[], tuple[str, Fields]]
    ) -> tuple[str, Fields]:
        """Make a call, record it, and return its outcome and value."""
        number = next(self._numbers)
        self._write(_Begun(number, caller, operation, arguments, time.monotonic()))
        outcome, value = ask()
        self._write(_Ended(number, time.monotonic(), outcome, value))
        return outcome, value

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, line: _Begun | _Ended) -> None:
        os.write(self._file, self._encoder.encode(line) + b"\n")


def read_folder(folder: Path) -> list[Call]:
    """The calls of every process, sorted by their begin."""
    calls = itertools.chain.from_iterable(_read_file(path) for path in sorted(folder.glob("*.jsonl")))
    return sorted(calls, key=lambda call: call.begin)


def _read_file(path: Path) -> Iterator[Call]:
    decoder = msgspec.json.Decoder(_Begun | _Ended)
    waiting: dict[int, _Begun] = {}
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break  # incomplete: the process was killed
            entry = decoder.decode(line)
            if isinstance(entry, _Begun):
                waiting[entry.number] = entry
            else:
                yield _call(waiting.pop(entry.number), entry)
    for begun in waiting.values():
        yield _call(begun, None)


def _call(begun: _Begun, ended: _Ended | None) -> Call:
    call = Call(caller=begun.caller, operation=begun.operation, arguments=begun.arguments, begin=begun.begin)
    if ended is None:
        return call
    return msgspec.structs.replace(call, end=ended.end, outcome=ended.outcome, value=ended.value)
