"""The output on the terminal: the banner, one line for each request, what the functions print."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterable, Mapping

from emulator.manifest.addresses import Address
from emulator.manifest.model import Manifest

_COLOURS = {2: "32", 3: "36", 4: "33", 5: "31"}


def visible(text: str) -> str:
    """Text from outside with its line breaks and control characters escaped, so that it cannot control the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def visible_lines(text: str) -> str:
    """The same, but the line breaks and tabs of several lines stay."""
    return "".join(char if char in "\n\t" else visible(char) for char in text) if not text.isprintable() else text


def visible_json(text: str) -> str:
    """JSON with the same meaning, in which every character can be printed: the others are written as JSON escapes."""
    text = text.replace("\r", "\n")  # between tokens: JSON has no line break inside a string
    return "".join(char if char.isprintable() or char in "\n\t" else _json_escape(char) for char in text)


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def printed_lines(text: str) -> list[str]:
    """The lines that a function printed, with their control characters escaped."""
    lines = text.replace("\u00a0", " ").splitlines()  # Amazon's runtime client indents with non-breaking spaces
    return [visible(line.expandtabs()) for line in lines]


class Console:
    """Writes lines in batches, so that no request waits for the terminal.

    Nothing but the colour of a status reaches the terminal as an escape sequence, whatever a caller, a function or a
    manifest holds.
    """

    DELAY = 0.02

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._coloured = coloured()
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def request(self, method: str, path: str, status: int, milliseconds: float, name: str, note: str = "") -> None:
        """The line of one request."""
        if self._quiet and status < 500:
            return
        colour = _COLOURS.get(status // 100, "")
        shown = f"\x1b[{colour}m{status}\x1b[0m" if self._coloured and colour else str(status)
        line = f"{visible(f'{method:<7} {path}')}  {shown}  {milliseconds:.1f} ms  {visible(name) or '-'}"
        self._add(f"{line}  ({visible(note)})" if note else line)

    def output(self, name: str, text: str) -> None:
        """What a function printed, each line with its function's name before it."""
        for line in printed_lines(text):
            if line:
                self.line(f"  {name} | {line}")

    def line(self, text: str) -> None:
        """Write one line within 20 milliseconds; a line break in it becomes an escape."""
        self._add(visible(text))

    def _add(self, text: str) -> None:
        self._lines.append(text)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.DELAY, self.flush)

    def flush(self) -> None:
        """Write the lines that are waiting; a closed terminal is ignored."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            text = "\n".join(self._lines) + "\n"
            self._lines.clear()
            _write(text)


def write(text: str) -> None:
    """Write lines to standard output, whatever its encoding; a reader that went away is ignored.

    What is not printable becomes an escape.
    """
    _write(visible_lines(text))


def _write(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        write_all(text)


def write_all(text: str) -> None:
    """Write text to standard output, whatever its encoding; an OSError where that is not possible."""
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:
        sys.stdout.write(text.encode("ascii", "backslashreplace").decode())
    sys.stdout.flush()


def coloured() -> bool:
    """Whether colours are wanted, by NO_COLOR, CLICOLOR_FORCE and TERM, and by what standard output is."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return os.environ.get("TERM") != "dumb" and sys.stdout.isatty()


def counted(number: int, noun: str) -> str:
    """A number and what is counted, as in `1 function` and `2 functions`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def banner(
    manifest: Manifest,
    url: str,
    runtime: str,
    urls: Mapping[Address, str],
    issuer: str = "",
    pages: Iterable[str] = (),
) -> str:
    """The text that is printed when the emulator serves; `urls` are those of further addresses."""
    count = counted(len(manifest.functions), "function")
    head = f"{manifest.service} ({manifest.stage}) at {url}   {count}, {runtime}"
    schedules = [
        f"{schedule.times}  {schedule.function.name}{'' if schedule.enabled else '  (disabled)'}"
        for schedule in manifest.schedules
    ]
    further = [f"{address.kind}  {found}  {address.name}" for address, found in urls.items()]
    keys = [f"x-api-key  {key.value}  {key.name}" for key in manifest.rest.keys if key.generated]
    issuers = [f"identity provider  {issuer}"] if issuer else []
    shown = [f"page  {page}" for page in pages]
    routes = route_lines(manifest, f"ws{url.removeprefix('http')}")
    lines = [*routes, *keys, *further, *issuers, *schedules, *shown]
    return "\n".join([head, *(f"  {line}" for line in lines), ""]) + "\n"


def route_lines(manifest: Manifest, websocket_url: str = "") -> list[str]:
    """The routes of a manifest in columns: method, path, function, timeout.

    Those of a WebSocket API have the method WS and their key as path; the last line has the API's addresses.
    """
    prefixes = {"httpApi": "", "http": f"/{manifest.rest_stage}", "url": "", "alb": ""}
    last: list[str] = []
    found = [(route.method, f"{prefixes[route.kind]}{route.path}", route.function) for route in manifest.routes]
    if manifest.websocket:
        sockets = manifest.websocket.routes.values()
        found += [("WS", route.key, manifest.functions[route.function]) for route in sockets]
        addresses = "  ".join(f"{websocket_url}{path}" for path in manifest.websocket_paths)
        last = [f"WebSocket  {addresses}  {manifest.websocket.name}"]
    rows = [(method, path, function.name, f"{function.timeout} s") for method, path, function in found]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = [
        f"{method:<{widths[0]}}  {path:<{widths[1]}}  {name:<{widths[2]}}  {limit:>5}"
        for method, path, name, limit in rows
    ]
    return lines + last
