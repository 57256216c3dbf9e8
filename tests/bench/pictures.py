"""Pictures of the sections' tables, where matplotlib is installed."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.bench.report import Row, Section, Table

_OURS, _BARE = "#1f5fbf", "#9a9a9a"
_PEERS = ("#d98032", "#5f9e6e", "#8c6bb1", "#b8546a")
_OURS_ARE = ("ours", "manager", "handler")
_BARE_ARE = ("sqlite3", "bare", "BEGIN")
_SIZE = (11.0, 6.2)  # inches


def available() -> bool:
    """Whether there is something to draw with."""
    return find_spec("matplotlib") is not None


def draw(section: Section, folder: Path) -> Path:
    """Draw a section's picture into the folder."""
    import matplotlib  # type: ignore[import-not-found,import-untyped,unused-ignore]

    matplotlib.use("Agg")
    from matplotlib.figure import Figure  # type: ignore[import-not-found,import-untyped,unused-ignore]

    figure = Figure(figsize=_SIZE, layout="constrained")
    _DRAWINGS[section.name](figure, section)
    path = folder / f"{section.name}.png"
    figure.savefig(path, dpi=110)
    return path


def _writes(figure: Any, section: Section) -> None:
    figure.suptitle("One process: writes a second and the wait that 99 of 100 callers stay under")
    widths = list(dict.fromkeys(table.title.rpartition(": ")[2] for table in section.tables))
    axes = figure.subplots(2, 2, sharex=True, sharey="row")
    for column, level in enumerate(("NORMAL", "FULL")):
        tables = [table for table in section.tables if f"synchronous={level}," in table.title]
        names = [row["writer"] for row in tables[-1].rows if "create" not in row["writer"]]
        for line, figure_name in enumerate(("writes/s", "p99 ms")):
            axis = axes[line][column]
            for name in names:
                values = [_row(table, "writer", name)[figure_name] for table in tables]
                axis.plot(range(len(widths)), values, marker="o", label=name, **_style(name, names))
            axis.set_title(f"synchronous={level}" if line == 0 else "")
            axis.set_ylabel(figure_name)
            axis.set_xticks(range(len(widths)), widths)
            axis.grid(alpha=0.3)
            axis.set_yscale("linear" if line == 0 else "log")
        axes[0][column].set_ylim(bottom=0)
        axes[1][column].set_xlabel("callers")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=6)


def _processes(figure: Any, section: Section) -> None:
    figure.suptitle("Several processes on one file")
    axes = figure.subplots(2, 3)
    for line, table in enumerate(section.tables[:2]):
        shapes = list(dict.fromkeys(row["processes x threads"] for row in table.rows))
        writers = list(dict.fromkeys(row["writer"] for row in table.rows))
        for column, figure_name in enumerate(("writes/s", "longest ms", "jain")):
            axis = axes[line][column]
            series = {name: [row[figure_name] for row in table.rows if row["writer"] == name] for name in writers}
            _columns(axis, shapes, series)
            axis.set_title(f"{figure_name}, {table.title}", fontsize="medium")
            axis.set_yscale("log" if figure_name == "longest ms" else "linear")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2)


def _document(figure: Any, section: Section) -> None:
    axis = figure.subplots()
    rows = section.tables[0].rows
    series = {name: [row[name] for row in rows] for name in ("design, ms", "p99 ms", "p50 ms")}
    _bars(axis, [row["function"] for row in rows], series, (_BARE, "#7fa8e0", _OURS))
    axis.set_xscale("log")
    axis.set_xlabel("milliseconds, event to response")
    axis.set_title("The design's figures and what was measured")


def _validate(figure: Any, section: Section) -> None:
    _sizes(figure, section, "one answer", "Validate: microseconds for one answer", "us")


def _history(figure: Any, section: Section) -> None:
    axis = figure.subplots()
    table = section.tables[0]
    names = [row["reader"] for row in table.rows]
    values = [row["ms"] for row in table.rows]
    colours = [_colour(name, names) for name in names]
    bars = axis.barh(names, values, color=colours)
    axis.bar_label(bars, fmt="%.2f", padding=3)
    axis.invert_yaxis()
    axis.margins(x=0.1)
    axis.set_xlabel("milliseconds")
    axis.set_title(f"History: {table.title}")


def _list(figure: Any, section: Section) -> None:
    rows = [{**row, "filter": f"{row['filter']}: {row['who']}"} for row in section.tables[0].rows]
    named = Section(section.name, [Table(section.tables[0].title, rows)])
    _sizes(figure, named, "filter", "List: milliseconds for a page of 100", "ms")


def _cold(figure: Any, section: Section) -> None:
    axes = figure.subplots(1, 2, sharey=True)
    rows = section.tables[0].rows
    names = [row["first answer of"] for row in rows]
    for axis, unit in zip(axes, ("ms", "MB"), strict=True):
        values = [row[unit] for row in rows]
        bars = axis.barh(names, values, color=[_BARE] * 2 + [_OURS] * (len(rows) - 2))
        axis.bar_label(bars, fmt="%.0f", padding=3)
        limit = {"ms": 1.5, "MB": 1.3}[unit] * values[1]
        axis.axvline(limit, color=_PEERS[0], linestyle="--", label=f"target: {limit:.0f}")
        axis.legend(fontsize="small", loc="upper right")
        axis.set_xlabel(unit)
        axis.margins(x=0.12)
    axes[0].invert_yaxis()
    figure.suptitle("Cold start: a fresh process to its first answer")


def _growth(figure: Any, section: Section) -> None:
    axis = figure.subplots()
    rows = [row for table in section.tables for row in table.rows]
    bars = axis.barh([row["call"] for row in rows], [row["many / few"] for row in rows], color=_OURS)
    axis.bar_label(bars, fmt="%.2f", padding=3)
    axis.axvline(1, color=_BARE)
    axis.axvline(10, color=_PEERS[0], linestyle="--", label="as much as the data")
    axis.invert_yaxis()
    axis.legend()
    axis.set_title("How a call's time grows with ten times the data")
    axis.set_xlabel("times")


def _emulator(figure: Any, section: Section) -> None:
    axis = figure.subplots()
    rows = section.tables[0].rows
    names = [f"{row['server']}, {row['connections']}" for row in rows]
    _bars(axis, names, {"requests a second": [row["requests/s"] for row in rows]}, (_OURS,))
    axis.set_title("A trivial handler over HTTP, by server and number of connections")


def _sizes(figure: Any, section: Section, key: str, title: str, unit: str) -> None:
    axis = figure.subplots()
    rows = section.tables[0].rows
    sizes = [name for name in rows[0] if name.endswith(f", {unit}")]
    series = {size.removesuffix(f", {unit}"): [row[size] for row in rows] for size in sizes}
    _bars(axis, [row[key] for row in rows], series, ("#7fa8e0", _OURS))
    axis.set_xlabel(unit.replace("us", "microseconds").replace("ms", "milliseconds"))
    axis.set_title(title)


def _bars(axis: Any, labels: Sequence[str], series: dict[str, list[float]], colours: Sequence[str]) -> None:
    """Groups of horizontal bars, with their values."""
    height = 0.8 / len(series)
    for place, ((name, values), colour) in enumerate(zip(series.items(), colours, strict=True)):
        at = [number + place * height for number in range(len(labels))]
        bars = axis.barh(at, values, height, label=name, color=colour)
        axis.bar_label(bars, fmt="%.3g", padding=3, fontsize="small")
    axis.set_yticks([number + 0.4 - height / 2 for number in range(len(labels))], labels)
    axis.invert_yaxis()
    axis.margins(x=0.1)
    axis.legend()


def _columns(axis: Any, labels: Sequence[str], series: dict[str, list[float]]) -> None:
    """Groups of upright bars."""
    width = 0.8 / len(series)
    names = list(series)
    for place, (name, values) in enumerate(series.items()):
        at = [number + place * width for number in range(len(labels))]
        axis.bar(at, values, width, label=name, color=_colour(name, names))
    axis.set_xticks([number + 0.4 - width / 2 for number in range(len(labels))], labels)
    axis.grid(axis="y", alpha=0.3)


def _style(name: str, names: Sequence[str]) -> dict[str, Any]:
    dashed = name == "ours, manager"
    return {
        "color": _colour(name, names),
        "linewidth": 2.2 if name == "ours" else 1.4,
        "linestyle": "--" if dashed else "-",
    }


def _colour(name: str, names: Sequence[str]) -> str:
    if name.startswith(("ours", "manager", "handler")):
        return _OURS
    if name.startswith(("sqlite3", "bare", "BEGIN")):
        return _BARE
    others = [
        other for other in names if not other.startswith(("ours", "manager", "handler", "sqlite3", "bare", "BEGIN"))
    ]
    return _PEERS[others.index(name) % len(_PEERS)]


def _row(table: Table, key: str, value: str) -> Row:
    return next(row for row in table.rows if row[key] == value)


def _engines(figure: Any, section: Section) -> None:
    figure.suptitle("The service on either engine, and psycopg alone")
    left, right = figure.subplots(1, 2)
    one, many = section.tables[:2]
    whose = [row["storing"] for row in many.rows]
    short = [row for row in one.rows if "page" not in row["one caller"]]
    _columns(
        left, [row["one caller"] for row in short], {name: [row[f"{name}, us"] for row in short] for name in whose}
    )
    left.set_title("one caller: microseconds")
    _columns(right, [many.title], {row["storing"]: [row["writes/s"]] for row in many.rows})
    right.set_title("messages stored a second")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)


def _scale(figure: Any, section: Section) -> None:
    figure.suptitle("PostgreSQL: microseconds of a call with more and more rows, and calls a second with more clients")
    axes = figure.subplots(1, 3)
    for axis, table in zip(axes, section.tables[:2], strict=False):
        sizes = [name for name in table.rows[0] if name.endswith(", us")]
        for row in table.rows:
            axis.plot(range(len(sizes)), [row[size] for size in sizes], marker="o", label=row["call"])
        axis.set_xticks(range(len(sizes)), [size.removesuffix(", us") for size in sizes])
        axis.set_yscale("log")
        axis.set_title(table.title)
        axis.legend(fontsize="x-small")
        axis.grid(alpha=0.3)
    clients = section.tables[2].rows
    processes = [row["client processes"] for row in clients]
    for what in ("store/s", "validate/s"):
        axes[2].plot(processes, [row[what] for row in clients], marker="o", label=what)
    axes[2].set_xlabel("client processes")
    axes[2].set_ylim(bottom=0)
    axes[2].legend(fontsize="x-small")


_DRAWINGS: dict[str, Callable[[Any, Section], None]] = {
    "document": _document,
    "writes": _writes,
    "processes": _processes,
    "validate": _validate,
    "history": _history,
    "list": _list,
    "cold": _cold,
    "growth": _growth,
    "engines": _engines,
    "scale": _scale,
    "emulator": _emulator,
}
