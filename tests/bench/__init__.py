"""Benchmarks of the service, of bare SQLite and of comparable libraries, in one run, so that they can be compared."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench.harness import Effort
    from tests.bench.report import Section

SECTIONS = (
    "document",
    "writes",
    "processes",
    "validate",
    "identity",
    "history",
    "list",
    "cold",
    "growth",
    "engines",
    "scale",
    "emulator",
    "live",
)


_MODULES = {"list": "listing"}  # named after no builtin


def section(name: str) -> "Callable[[Effort, Path], Section]":
    """The function that runs a section."""
    run: Callable[[Effort, Path], Section] = import_module(f"tests.bench.{_MODULES.get(name, name)}").run
    return run
