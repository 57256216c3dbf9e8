"""The commands that record the requests of a running emulator, and send a recording again."""

from __future__ import annotations

import base64
import contextlib
import enum
import http.client
import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO

import typer

from emulator.cli import options, output
from emulator.cli.client import ask
from emulator.cli.comparison import MASK, Difference, Matcher
from emulator.cli.options import Port
from emulator.service.console import counted, visible

_LEFT_OUT = frozenset({"host", "content-length", "connection", "transfer-encoding", "accept-encoding"})
_FIELDS = {"id": int, "time": str, "method": str, "path": str, "request": dict, "answer": dict}
_APIS = ("httpApi", "http", None)
"""What is served on the emulator's own port."""


class Expect(enum.StrEnum):
    """What must be as it was."""

    STATUS = "status"
    SAME = "same"


class At(enum.StrEnum):
    """Where the clock is for each request."""

    NOW = "now"
    RECORDED = "recorded"


RecordFile = Annotated[Path, typer.Argument(help="The file to write; it must not exist.")]
ReplayFile = Annotated[Path, typer.Argument(help="A file that `record` has written.")]
Secrets = Annotated[bool, typer.Option("--secrets", help="Keep Authorization, cookies and other secrets in the file.")]
Kept = Annotated[bool, typer.Option("--kept", help="Write the requests that the emulator has kept, and end.")]
ExpectOption = Annotated[
    Expect, typer.Option(help="status: only the status must be as recorded. same: headers and bodies, too.")
]
AtOption = Annotated[
    At, typer.Option(help="recorded: the clock shows each request the time of its recording; schedules run on the way.")
]
Speed = Annotated[
    float | None, typer.Option(min=0.001, help="Keep the recorded pauses, so many times faster. Without it: none.")
]
Header = Annotated[list[str], typer.Option(help="'NAME: VALUE' for every request, in place of the recorded header.")]
Ignore = Annotated[
    list[str], typer.Option(help="A field that may differ, such as body.uptime or headers.etag; with all below it.")
]


def record(file: RecordFile, secrets: Secrets = False, kept: Kept = False, port: Port = 8080) -> None:
    """Write every request that a running emulator answers to a file, until Ctrl-C."""
    last = 0 if kept else ask("GET", port, "/_emulator/requests?limit=1")["last"]
    path = f"/_emulator/recording?after={last}&follow={int(not kept)}&secrets={int(secrets)}"
    try:
        target = file.open("x", encoding="utf-8")
    except OSError as error:
        options.refuse(f"{file}: {error.strerror}")
    count = 0
    with target, contextlib.suppress(KeyboardInterrupt):
        if not kept:
            output.write(f"recording to {file}: Ctrl-C ends it\n")
        count = _write(target, path, port, last)
    output.write(f"{file}: {counted(_lines(file), 'request')}\n")
    if not count and kept:
        options.refuse("the emulator has kept no request")


def _write(target: TextIO, path: str, port: int, last: int) -> int:
    """Copy the stream's lines; numbers that are left out are told."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    count = 0
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            for text in connection.getresponse():
                number = json.loads(text)["id"]
                if last and number > last + 1:
                    options.warn(f"{counted(number - last - 1, 'request')} came too fast: start with --keep-requests")
                last, count = number, count + 1
                target.write(text.decode())
                target.flush()
        except (OSError, ValueError, http.client.HTTPException):
            options.warn("the emulator has ended the connection")
    return count


def _lines(file: Path) -> int:
    with file.open(encoding="utf-8") as written:
        return sum(1 for _ in written)


def replay(
    file: ReplayFile,
    expect: ExpectOption = Expect.SAME,
    at: AtOption = At.NOW,
    speed: Speed = None,
    header: Header = [],  # noqa: B006
    ignore: Ignore = [],  # noqa: B006
    port: Port = 8080,
) -> None:
    """Send a recording to a running emulator, and compare the answers; the exit code is 1 when one differs.

    Ids, times and cursors differ in each run. Those that correspond are matched, and sent in their place.
    """
    recorded = sorted(_read(file), key=lambda one: str(one["time"]))
    headers = [_header(text) for text in header]
    ask("GET", port, "/_emulator/requests?limit=1")  # refuses when there is no emulator
    clock = _Clock(port) if at is At.RECORDED else None
    run = _Run(port, headers, frozenset(ignore), expect)
    begun, first = time.monotonic(), _moment(recorded[0]) if recorded else 0.0
    try:
        for one in recorded:
            if speed is not None:
                time.sleep(max(0.0, (_moment(one) - first) / speed - (time.monotonic() - begun)))
            if clock is not None:
                clock.show(one)
            run.send(one)
    finally:
        if clock is not None:
            clock.reset()
    verb = "differs" if run.differing == 1 else "differ"
    output.write(f"{counted(len(recorded), 'request')}, {run.differing} {verb}\n")
    raise typer.Exit(1 if run.differing else 0)


class _Run:
    """Sends recorded requests one after another, and counts those that are answered differently."""

    def __init__(self, port: int, headers: list[tuple[str, str]], ignored: frozenset[str], expect: Expect) -> None:
        self._port = port
        self._headers = headers
        self._given = {name.lower() for name, _ in headers}
        self._ignored = ignored
        self._expect = expect
        self._matcher = Matcher()
        self._warned: set[str] = set()
        self.differing = 0

    def send(self, one: dict[str, Any]) -> None:
        """Send one request and tell what is different."""
        title = f"#{one['id']} {one['method']} {one['path']}"
        if one.get("api") not in _APIS:
            options.warn(f"{title}: left out, it came to another port than the emulator's own")
            return
        if one["request"].get("body_unread"):
            options.warn(f"{title}: left out, its body was never read")
            return
        found = self._differences(one["answer"], self._ask(one))
        if found:
            self.differing += 1
            output.write(f"{title}\n" + "".join(f"  {visible(str(difference))}\n" for difference in found))

    def _differences(self, recorded: dict[str, Any], now: dict[str, Any]) -> list[Difference]:
        found = self._matcher.differences(recorded, now, self._ignored)
        return found if self._expect is Expect.SAME else [one for one in found if one.field == "status"]

    def _ask(self, one: dict[str, Any]) -> dict[str, Any]:
        sent = one["request"]
        body = base64.b64decode(sent["body"]) if sent["base64"] else self._matcher.translated(sent["body"]).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=1000)
        with contextlib.closing(connection):
            try:
                connection.putrequest(one["method"], self._matcher.translated(one["path"]), skip_accept_encoding=True)
                for name, value in self._sent(sent["headers"]):
                    connection.putheader(name, value.encode("latin-1"))
                if body:
                    connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body or None)
                response = connection.getresponse()
                content = response.read()
            except (OSError, ValueError, http.client.HTTPException) as error:
                return {"status": f"no answer ({type(error).__name__})", "headers": [], "body": "", "base64": False}
        return {"status": response.status, "headers": response.getheaders(), **_text(content)}

    def _sent(self, recorded: list[list[str]]) -> Iterator[tuple[str, str]]:
        for name, value in recorded:
            lower = name.lower()
            if lower in _LEFT_OUT or lower in self._given:
                continue
            if value == MASK:
                if lower not in self._warned:
                    self._warned.add(lower)
                    options.warn(f"{name} is masked in the recording, and not sent: give --header, or record --secrets")
                continue
            yield name, self._matcher.translated(value)
        yield from self._headers


class _Clock:
    """The emulator's clock, which stands still at the time of each request."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._shown: float | None = None

    def show(self, one: dict[str, Any]) -> None:
        """Move the clock to the time of a recorded request; the schedules on the way run."""
        moment = _moment(one)
        if self._shown is None:
            ask("PUT", self._port, "/_emulator/clock", {"at": one["time"], "running": False})
        elif moment > self._shown:
            ask("POST", self._port, "/_emulator/clock/advance", {"seconds": moment - self._shown})
        self._shown = moment

    def reset(self) -> None:
        """Go back to the system's time."""
        ask("DELETE", self._port, "/_emulator/clock")


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        options.refuse(f"{file}: {getattr(error, 'strerror', None) or error}")
    return [_request(file, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _request(file: Path, number: int, line: str) -> dict[str, Any]:
    def wrong(reason: str) -> NoReturn:
        options.refuse(f"{file}:{number}: {reason}")

    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        wrong("this is not JSON")
    if not isinstance(found, dict):
        wrong("this is no request")
    if lost := found.get("lost"):
        wrong(f"{lost} requests are missing here: they came too fast. Record again with a higher --keep-requests")
    for name, kind in _FIELDS.items():
        if not isinstance(found.get(name), kind):
            wrong(f"{name} is missing, or of another type")
    for name, fields in (
        ("request", ("headers", "body", "base64")),
        ("answer", ("status", "headers", "body", "base64")),
    ):
        if missing := [one for one in fields if one not in found[name]]:
            wrong(f"{name}.{missing[0]} is missing")
    try:
        datetime.fromisoformat(found["time"])
    except ValueError:
        wrong("time is not a time")
    return found


def _moment(one: dict[str, Any]) -> float:
    return datetime.fromisoformat(one["time"]).timestamp()


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        options.refuse(f"--header {text}: a header is NAME: VALUE")
    return name.strip(), value.strip()


def _text(content: bytes) -> dict[str, Any]:
    try:
        return {"body": content.decode(), "base64": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(content).decode(), "base64": True}
