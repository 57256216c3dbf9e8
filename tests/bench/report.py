"""What a section found: tables, targets with whether they are met, notes; printed, and written as JSON."""

import json
import math
import os
import platform
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import apsw
from rich.console import Console
from rich.table import Table as RichTable

Row = dict[str, Any]

_PACKAGES = ("peewee", "apsw", "msgspec", "datasette", "matplotlib")


@dataclass(frozen=True)
class Target:
    """A figure and the bound that it has to keep; `at_least` says on which side."""

    what: str
    measured: float
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the figure keeps its bound."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


def at_least(what: str, measured: float, bound: float) -> Target:
    """A figure that has to be high."""
    return Target(what, measured, bound, at_least=True)


def at_most(what: str, measured: float, bound: float) -> Target:
    """A figure that has to be low."""
    return Target(what, measured, bound, at_least=False)


@dataclass(frozen=True)
class Table:
    """Rows with the same keys; a key names its unit."""

    title: str
    rows: Sequence[Row]


@dataclass
class Section:
    """One section's results."""

    name: str
    tables: list[Table] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def show(self, console: Console) -> None:
        """Print all of it."""
        console.rule(f"[bold]{self.name}")
        for table in self.tables:
            console.print(_rendered(table))
        if self.targets:
            console.print(_rendered_targets(self.targets))
        for note in self.notes:
            console.print(f"- {note}", style="dim", highlight=False)

    def write(self, folder: Path) -> Path:
        """Write the numbers, with the machine and the versions that made them."""
        path = folder / f"{self.name}.json"
        content = {
            "section": self.name,
            "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine(),
            "versions": versions(),
            "targets": [{**asdict(target), "met": target.met} for target in self.targets],
            "tables": [asdict(table) for table in self.tables],
            "notes": self.notes,
        }
        path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        return path


def machine() -> dict[str, Any]:
    """What the figures were made on."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def versions() -> dict[str, str]:
    """What the figures were made with."""
    found = {"python": platform.python_version(), "sqlite (sqlite3)": sqlite3.sqlite_version}
    found["sqlite (apsw)"] = apsw.sqlite_lib_version()
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def readable(value: Any) -> str:
    """Three significant digits, thousands grouped."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _rendered(table: Table) -> RichTable:
    made = RichTable(title=table.title, title_justify="left", title_style="bold")
    for number, name in enumerate(table.rows[0]):
        made.add_column(name, justify="left" if number == 0 else "right")
    for row in table.rows:
        made.add_row(*(readable(value) for value in row.values()))
    return made


def _rendered_targets(targets: Sequence[Target]) -> RichTable:
    made = RichTable(title="Targets", title_justify="left", title_style="bold")
    for name in ("", "measured", "target", ""):
        made.add_column(name, justify="left" if not name else "right")
    for target in targets:
        bound = f"{'≥' if target.at_least else '≤'} {readable(target.bound)}"
        made.add_row(target.what, readable(target.measured), bound, "[green]met" if target.met else "[red]missed")
    return made
