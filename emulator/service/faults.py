"""Faults on purpose: rules that say which invocations and answers are to go wrong, and how.

`PUT /_emulator/faults` and the option `--faults` give the rules. While there are none, an invocation asks once.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import msgspec

from emulator.manifest.model import Function, Manifest, Route
from emulator.service.request_book import Record

HEADER = "Emulator-Fault"
"""The header of every answer that a rule has touched: the kinds of its faults."""
Kind = Literal[
    "latency",
    "cold",
    "error",
    "exception",
    "timeout",
    "throttle",
    "kill-before",
    "kill-after",
    "disconnect",
    "lost-answer",
]
KINDS: tuple[str, ...] = get_args(Kind)
LATENCY, COLD, ERROR, EXCEPTION, TIMEOUT, THROTTLE, KILL_BEFORE, KILL_AFTER, DISCONNECT, LOST_ANSWER = KINDS
_ADDED = frozenset({LATENCY, COLD})
"""Kinds that come before another fault of the same invocation, and exclude none."""
_OF_CONNECTIONS = frozenset({DISCONNECT, LOST_ANSWER})
"""Kinds that need a client that waits on a connection."""
_OF_PROCESSES = frozenset({COLD, KILL_BEFORE, KILL_AFTER})
"""Kinds that need a process of the function's own."""
LONGEST = 900_000.0
"""Milliseconds: the longest latency."""
_Z99 = 2.3263478740408408
"""The 99th percentile of the standard normal distribution."""


class Shape(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One rule, as it is written."""

    kind: Kind
    function: str | None = None
    route: str | None = None
    """`POST /api/sessions`, as `routes` prints it."""
    rate: float = 1.0
    """The probability with which the fault happens."""
    seed: int = 0
    """Of the random numbers: the same rule with the same seed hits the same invocations."""
    times: int | None = None
    """How often it happens at most."""
    status: int | None = None
    """Of an `error`."""
    milliseconds: float | dict[str, float] | None = None
    """How long a `latency` lasts, or a `timeout` instead of the function's own.

    A number; `{"from", "to"}`, spread evenly; or `{"median", "p99"}`, a log-normal distribution with a long tail.
    """


class Shapes(msgspec.Struct, forbid_unknown_fields=True):
    """All rules, as they are written and shown."""

    rules: list[Shape]
    applied: list[int] = []
    """How often each has happened; shown alone, so that what was shown can be given again."""


class FaultsError(Exception):
    """Rules that cannot be followed; the text names the field, and says why."""


@dataclass(slots=True)
class Exchange:
    """One request on a connection, and what rules have done to its answer."""

    record: Record | None = None
    kinds: list[str] = field(default_factory=list)

    @property
    def lost(self) -> bool:
        """Whether the client gets no answer."""
        return not _OF_CONNECTIONS.isdisjoint(self.kinds)


_current: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


@contextlib.contextmanager
def exchange(record: Record | None = None) -> Iterator[Exchange]:
    """What is invoked inside belongs to this request."""
    made = Exchange(record)
    token = _current.set(made)
    try:
        yield made
    finally:
        _current.reset(token)


def leave_exchange() -> None:
    """What this task invokes from now on belongs to no request."""
    _current.set(None)


class Rule:
    """A rule with its random numbers and its count."""

    def __init__(self, shape: Shape, function: str | None) -> None:
        self.shape = shape
        self.kind = shape.kind
        self.applied = 0
        self._function = function
        self._random = random.Random(shape.seed)  # noqa: S311

    def hits(self, function: Function, request: Exchange | None, stage: str) -> bool:
        """Whether the fault happens to this invocation; the answer counts, and takes the next random number."""
        if not self._is_about(function, request, stage) or self.applied == self.shape.times:
            return False
        if self.shape.rate < 1 and self._random.random() >= self.shape.rate:
            return False
        self.applied += 1
        return True

    def seconds(self, default: float = 0.0) -> float:
        """How long a latency or a time-out takes."""
        given = self.shape.milliseconds
        if given is None:
            return default
        if isinstance(given, dict):
            given = _drawn(given, self._random)
        return min(given, LONGEST) / 1000

    def _is_about(self, function: Function, request: Exchange | None, stage: str) -> bool:
        if request is None and self.kind in _OF_CONNECTIONS:
            return False
        if self._function is not None:
            return function.name == self._function
        route = request.record.route if request is not None and request.record is not None else None
        return route is not None and route.function.name == function.name and self.shape.route in names(route, stage)


class Faults:
    """The rules of a running emulator."""

    def __init__(self, *, isolated: bool) -> None:
        """`isolated` says whether functions have processes of their own."""
        self.rules: Sequence[Rule] = ()
        self._isolated = isolated
        self._stage = ""

    def set(self, shapes: Shapes, manifest: Manifest) -> None:
        """Follow these rules in place of those before, from their first random number on. Raises FaultsError."""
        rules = []
        for number, shape in enumerate(shapes.rules):
            try:
                self._check(shape, manifest)
            except FaultsError as error:
                raise FaultsError(f"rules[{number}].{error}") from None
            found = manifest.function(shape.function) if shape.function is not None else None
            rules.append(Rule(shape, found.name if found else None))
        self.rules = rules
        self._stage = manifest.rest_stage

    def state(self) -> dict[str, Any]:
        """The rules as JSON, and how often each has been applied."""
        return {
            "rules": [msgspec.to_builtins(rule.shape) for rule in self.rules],
            "applied": [rule.applied for rule in self.rules],
        }

    def take(self, manifest: Manifest) -> list[str]:
        """Use a changed manifest; what is said of rules whose function or route it has no more."""
        self._stage = manifest.rest_stage
        lines = []
        for number, rule in enumerate(self.rules):
            try:
                _check_target(rule.shape, manifest)
            except FaultsError as error:
                lines.append(f"faults: rules[{number}].{error}")
        return lines

    def draw(self, function: Function) -> list[Rule]:
        """The faults of one invocation: any number that add up, and at most one other, the first that hits."""
        found: list[Rule] = []
        decided = False
        request = _current.get()
        for rule in self.rules:
            added = rule.kind in _ADDED
            if (added or not decided) and rule.hits(function, request, self._stage):
                found.append(rule)
                decided = decided or not added
        if request is not None:
            request.kinds = list(dict.fromkeys([*request.kinds, *(rule.kind for rule in found)]))
        return found

    def _check(self, shape: Shape, manifest: Manifest) -> None:
        _check_target(shape, manifest)
        if not 0 < shape.rate <= 1:
            raise FaultsError("rate: must be above 0 and at most 1")
        if shape.times is not None and shape.times < 1:
            raise FaultsError("times: must be 1 or more")
        if shape.status is not None and shape.kind != ERROR:
            raise FaultsError(f"status: is of no use to the kind {shape.kind}, only to error")
        if shape.status is not None and not 400 <= shape.status <= 599:
            raise FaultsError("status: must be from 400 to 599")
        _check_milliseconds(shape, manifest)
        if shape.kind in _OF_PROCESSES and not self._isolated:
            raise FaultsError(f"kind: {shape.kind} needs a process of the function's own, and --inline has none")


def read(text: bytes) -> Shapes:
    """The rules of a JSON text. Raises FaultsError."""
    try:
        return msgspec.json.decode(text, type=Shapes)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FaultsError(str(error)) from None


def names(route: Route, stage: str) -> tuple[str, str]:
    """What a rule may call a route: as `routes` prints it, or by its key in the manifest."""
    prefix = f"/{stage}" if route.kind == "http" else ""
    return f"{route.method} {prefix}{route.path}", route.key


def _check_target(shape: Shape, manifest: Manifest) -> None:
    if (shape.function is None) == (shape.route is None):
        raise FaultsError("function: give either function or route")
    if shape.function is not None and manifest.function(shape.function) is None:
        known = ", ".join(manifest.functions)
        raise FaultsError(f"function: there is no function {shape.function!r}; there are {known}")
    served = [names(route, manifest.rest_stage) for route in manifest.routes]
    if shape.route is not None and all(shape.route not in found for found in served):
        known = ", ".join(shown for shown, _ in served) or "none"
        raise FaultsError(f"route: there is no route {shape.route!r}; there are {known}")


def _check_milliseconds(shape: Shape, manifest: Manifest) -> None:
    given = shape.milliseconds
    if given is None:
        if shape.kind == LATENCY:
            raise FaultsError("milliseconds: a latency needs them")
        if shape.kind == TIMEOUT and manifest.unlimited:
            raise FaultsError("milliseconds: a timeout needs them when no time limit counts")
        return
    if shape.kind not in (LATENCY, TIMEOUT):
        raise FaultsError(f"milliseconds: are of no use to the kind {shape.kind}, only to latency and timeout")
    values = list(given.values()) if isinstance(given, dict) else [given]
    if not all(0 <= value <= LONGEST for value in values):
        raise FaultsError(f"milliseconds: must be from 0 to {LONGEST:,.0f}")
    if not isinstance(given, dict):
        return
    keys = [key for key in (("from", "to"), ("median", "p99")) if given.keys() == set(key)]
    if not keys:
        raise FaultsError('milliseconds: must be a number, {"from", "to"} or {"median", "p99"}')
    low, high = (given[name] for name in keys[0])
    if low > high or (keys[0][0] == "median" and not low):
        raise FaultsError(f"milliseconds: {keys[0][1]} must be at least {keys[0][0]}, and a median above 0")


def _drawn(given: dict[str, float], numbers: random.Random) -> float:
    if "from" in given:
        return numbers.uniform(given["from"], given["to"])
    sigma = math.log(given["p99"] / given["median"]) / _Z99
    return given["median"] * math.exp(numbers.gauss(0.0, sigma))
