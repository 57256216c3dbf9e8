"""The emulator under load, beside a bare Starlette route on the same uvicorn and beside its peers.

wrk makes the load where it is installed; `python -m tests.bench.emulator URL CONNECTIONS SECONDS`, a small generator
in a process of its own, does where it is not.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import urlencode, urlsplit

from shared.config import variable
from tests.bench.databases import Classrooms, classrooms, scratch_copy
from tests.bench.harness import SMALLEST, Effort, interleaved, median, percentile, ratio
from tests.bench.report import Row, Section, Table, Target, at_least, at_most

MOST = 32
"""Connections."""
BARE, OFFLINE, FRAMEWORK = "bare Starlette route", "serverless-offline", "functions-framework"
RUNTIMES = {"workers": 0.4, "inline": 0.55, "ric": 0.2}
"""What each must reach of the bare route's requests a second."""
HELLO, VALIDATE = "trivial", "validate"
REQUESTS = {"full": 100_000, "quick": 20_000, "smallest": 20}
START_SECONDS = 30.0
PINNED = ("osls@4", "serverless-offline@14.8.2")

_ROOT = Path(__file__).parents[2]
_MANIFEST = """service: trivial
provider: {name: aws, runtime: python3.11}
plugins: [serverless-offline]
functions:
  hello: {handler: app.hello, events: [{httpApi: GET /hello}]}
"""
_HANDLER = """def hello(event, context):
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": '{"message":"hello"}'}
"""
_FUNCTION = """def hello(request):
    return '{"message":"hello"}', 200, {"content-type": "application/json"}
"""
_BARE = """import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
async def hello(request):
    return Response(b'{"message":"hello"}', media_type="application/json")
uvicorn.run(Starlette(routes=[Route("/hello", hello)]), port=int(sys.argv[1]), loop="uvloop", http="httptools",
    ws="none", access_log=False, log_config=None, server_header=False, proxy_headers=False, timeout_keep_alive=75)
"""
_IMPORT = """import sys, time
sys.path[0] = sys.argv[1]
began = time.perf_counter()
__import__(sys.argv[2])
print(time.perf_counter() - began)
"""


class Load(NamedTuple):
    """What one run of the load generator found."""

    rate: float
    p50: float
    p99: float
    requests: int
    failures: int


@dataclass(frozen=True)
class Kind:
    """A server that can be started."""

    command: Sequence[str]  # {port} and {other} become free ports
    folder: Path
    path: str
    environment: Mapping[str, str]


class Server:
    """A server process and everything it has started."""

    def __init__(self, kind: Kind) -> None:
        ports = {"port": str(free_port()), "other": str(free_port())}
        self.base = f"http://127.0.0.1:{ports['port']}"
        self.url = self.base + kind.path
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [part.format(**ports) if part.startswith("{") else part for part in kind.command],
            cwd=kind.folder,
            env={**os.environ, **kind.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._until(self.base + "/nobody-is-here", began, range(100, 600))
            asked = time.perf_counter()
            self._until(self.url, began, range(200, 201))
        except TimeoutError:
            self.stop()
            raise
        self.first = time.perf_counter() - began
        self.cold = time.perf_counter() - asked

    def _until(self, url: str, began: float, statuses: range) -> None:
        while time.perf_counter() - began < START_SECONDS and self.process.poll() is None:
            if _status(url) in statuses:
                return
            time.sleep(0.002)
        raise TimeoutError(f"no answer from {url}")

    def megabytes(self) -> float:
        """Resident memory of the process and all its descendants."""
        return sum(_resident(pid) for pid in family(self.process.pid)) / 1024

    def stop(self) -> None:
        """Ask it to stop, and end whatever is left of it."""
        members = family(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in members[1:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def run(effort: Effort, folder: Path) -> Section:
    """Throughput and waits, starts, memory."""
    folder = folder.resolve()
    notes = ["load: wrk, one thread" if _wrk(effort) else "load: a generator of its own, in place of wrk"]
    with scratch_copy(classrooms(folder, effort.sessions[0]), folder) as room:
        kinds = _kinds(folder, room)
        if effort != SMALLEST:
            kinds |= {(HELLO, name): kind for name, kind in _peers(folder, notes).items()}
        tables, targets = _under_load(kinds, effort)
        started, start_targets = _starts(kinds, effort)
    return Section("emulator", [*tables, *started], [*targets, *start_targets], notes)


Kinds = dict[tuple[str, str], Kind]
"""By handler and server."""


def _kinds(folder: Path, room: Classrooms) -> Kinds:
    service = folder / "emulator-service"
    service.mkdir(exist_ok=True)
    for name, text in {"serverless.yml": _MANIFEST, "app.py": _HANDLER, "main.py": _FUNCTION}.items():
        (service / name).write_text(text)
    database = {variable("database_url"): f"sqlite:///{room.path}"}
    query = urlencode({"user_id": room.students(0)[0], "role": "student"})
    validate = f"/api/sessions/{room.ids[0]}/validate?{query}"
    kinds: Kinds = {(HELLO, BARE): Kind([sys.executable, "-c", _BARE, "{port}"], service, "/hello", {})}
    for runtime in RUNTIMES:
        command = [sys.executable, "-m", "emulator", "--runtime", runtime, "--port", "{port}", "--manifest"]
        kinds[HELLO, runtime] = Kind([*command, str(service / "serverless.yml")], _ROOT, "/hello", {})
        passed = ["serverless.yml", "--pass-env", variable("database_url")]
        kinds[VALIDATE, runtime] = Kind([*command, *passed], _ROOT, validate, database)
    return kinds


def _peers(folder: Path, notes: list[str]) -> dict[str, Kind]:
    """The peers that can be had, each installed into the results' folder."""
    service, found = folder / "emulator-service", {}
    notes.append("Chalice local is left out")
    scripts = folder / "peers" / "python" / "bin"
    pip = [str(scripts / "python"), "-m", "pip", "install", "-q", "functions-framework==3.10.2"]
    if _installed(scripts / FRAMEWORK, [[sys.executable, "-m", "venv", str(scripts.parent)], pip]):
        command = [str(scripts / FRAMEWORK), "--target", "hello", "--source", str(service / "main.py"), "--port"]
        found[FRAMEWORK] = Kind([*command, "{port}"], service, "/hello", {})
    else:
        notes.append(f"{FRAMEWORK} is left out: it could not be installed")
    if osls := offline_program(service):
        command = [str(osls), "offline", "start", "--httpPort", "{port}", "--lambdaPort", "{other}"]
        found[OFFLINE] = Kind(command, service, "/hello", {"SLS_TELEMETRY_DISABLED": "1"})
    else:
        notes.append(f"{OFFLINE} is left out: there is no npm, or it could not be installed")
    return found


def offline_program(service: Path) -> Path | None:
    """The framework's program in this folder, with serverless-offline beside it; None where it cannot be installed."""
    program = service / "node_modules" / ".bin" / "osls"
    npm = ["npm", "install", "--prefix", str(service), "--no-save", "--no-audit", "--no-fund", *PINNED]
    return program if shutil.which("npm") and _installed(program, [npm]) else None


def _installed(program: Path, commands: Sequence[Sequence[str]]) -> bool:
    if program.exists():
        return True
    for command in commands:
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return False
    return program.exists()


def _under_load(kinds: Kinds, effort: Effort) -> tuple[list[Table], list[Target]]:
    with ExitStack() as stack:
        servers: dict[tuple[str, str], Server] = {}
        for key, kind in kinds.items():
            servers[key] = Server(kind)
            stack.callback(servers[key].stop)
        variants = {
            (*key, connections): partial(_load, server.url, connections, effort)
            for connections in _connections(effort)
            for key, server in servers.items()
        }
        found = interleaved(effort, variants)
        memory = {key: server.megabytes() for key, server in servers.items()}
        flat, growth = _growth(servers[HELLO, "workers"], effort)
    tables = [_loads(handler, found) for handler in (HELLO, VALIDATE)]
    rows: list[Row] = [{"server": f"{name}, {handler}", "MB": memory[handler, name]} for handler, name in memory]
    tables += [Table("resident memory of all its processes, after the load", rows), flat]
    targets = [target for handler in (HELLO, VALIDATE) for target in _ratios(handler, found)]
    if (HELLO, OFFLINE) in kinds:
        ours, theirs = found[HELLO, "workers", MOST], found[HELLO, OFFLINE, MOST]
        rates, waits = _column(ours, "rate"), _column(theirs, "p99")
        targets += [
            at_least(f"workers / {OFFLINE}, 32 connections", ratio(rates, _column(theirs, "rate")), 1.4),
            at_least(f"p99 of {OFFLINE} / workers, 32 connections", ratio(waits, _column(ours, "p99")), 10),
            at_most(f"memory, workers / {OFFLINE}", memory[HELLO, "workers"] / memory[HELLO, OFFLINE], 0.25),
        ]
    return tables, [*targets, growth]


Measure = Callable[[], tuple[float, float]]
Found = dict[tuple[str, str, int], list[Load]]


def _loads(handler: str, found: Found) -> Table:
    rows: list[Row] = []
    for connections in dict.fromkeys(key[2] for key in found):
        bare = found[HELLO, BARE, connections]
        for (_, name, _), loads in _of(handler, connections, found).items():
            rows.append(
                {
                    "server": name,
                    "connections": connections,
                    "requests/s": median(_column(loads, "rate")),
                    "/ bare": ratio(_column(loads, "rate"), _column(bare, "rate")),
                    "p50 ms": 1000 * median(_column(loads, "p50")),
                    "p99 ms": 1000 * median(_column(loads, "p99")),
                    "p99 / bare": ratio(_column(loads, "p99"), _column(bare, "p99")),
                    "failed": sum(load.failures for load in loads),
                }
            )
    return Table(f"{handler} handler", rows)


def _of(handler: str, connections: int, found: Found) -> Found:
    return {key: loads for key, loads in found.items() if key[2] == connections and handler in (key[0], BARE)}


def _ratios(handler: str, found: Found) -> list[Target]:
    """The worst over all numbers of connections has to meet the target."""
    targets = []
    for runtime, bound in RUNTIMES.items():
        pairs = [
            (found[handler, runtime, many], found[HELLO, BARE, many]) for many in dict.fromkeys(key[2] for key in found)
        ]
        rates = [ratio(_column(ours, "rate"), _column(bare, "rate")) for ours, bare in pairs]
        waits = [ratio(_column(ours, "p99"), _column(bare, "p99")) for ours, bare in pairs]
        targets.append(at_least(f"{handler}, {runtime}: requests a second / bare, the least", min(rates), bound))
        targets.append(at_most(f"{handler}, {runtime}: p99 / bare, the most", max(waits), 3))
    return targets


def _growth(server: Server, effort: Effort) -> tuple[Table, Target]:
    """Memory at the beginning and at the end of many requests."""
    total = REQUESTS["full" if effort.calls > 300 else "quick" if effort != SMALLEST else "smallest"]
    before, done = server.megabytes(), 0
    while done < total:
        done += max(1, _load(server.url, 8, effort).requests)
    after = server.megabytes()
    table = Table("workers, memory over many requests", [{"requests": done, "MB before": before, "MB after": after}])
    return table, at_most(f"workers: memory after {total:,} more requests / before", after / before, 1.05)


def _starts(kinds: Kinds, effort: Effort) -> tuple[list[Table], list[Target]]:
    measured: dict[tuple[str, str], Measure] = {key: partial(_start, kind) for key, kind in kinds.items()}
    imports: dict[tuple[str, str], Measure] = {
        (handler, "imports"): partial(_imported, *where)
        for handler, where in {
            HELLO: (kinds[HELLO, "workers"].command[-1].removesuffix("/serverless.yml"), "app"),
            VALIDATE: (str(_ROOT), "functions.validate"),
        }.items()
    }
    found = interleaved(replace(effort, rounds=effort.starts), measured | imports)
    rows: list[Row] = []
    for handler, name in measured:
        first = [taken[0] for taken in found[handler, name]]
        above = [taken[1] - own[1] for taken, own in zip(found[handler, name], found[handler, "imports"], strict=True)]
        rows.append(
            {
                "server": f"{name}, {handler}",
                "start to first 200, ms": 1000 * median(first),
                "its first request above the handler's imports, ms": max(0.0, 1000 * median(above)),
            }
        )
    table = Table("starts", rows)
    taken = {key: [one[0] for one in found[key]] for key in measured}
    targets = [at_most("workers: start to first 200, s", median(taken[HELLO, "workers"]), 0.5)]
    if (HELLO, OFFLINE) in kinds:
        sooner = ratio(taken[HELLO, OFFLINE], taken[HELLO, "workers"])
        targets.append(at_least(f"start of {OFFLINE} / workers", sooner, 4))
    for row in rows:
        if str(row["server"]).startswith("workers"):
            targets.append(at_most(f"{row['server']}: cold start above imports, ms", list(row.values())[2], 60))
    return [table], targets


def _start(kind: Kind) -> tuple[float, float]:
    """Seconds from nothing to the first 200, and of those the ones that the first request took."""
    server = Server(kind)
    server.stop()
    return server.first, server.cold


def _imported(folder: str, module: str) -> tuple[float, float]:
    """Seconds that a fresh Python takes to import the handler's module."""
    command = [sys.executable, "-c", _IMPORT, folder, module]
    seconds = float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return seconds, seconds


def _column(loads: Sequence[Load], name: str) -> list[float]:
    return [getattr(load, name) for load in loads]


def _connections(effort: Effort) -> list[int]:
    return [callers for callers in effort.callers if callers <= MOST]


def _wrk(effort: Effort) -> str | None:
    return shutil.which("wrk") if effort != SMALLEST else None


def _load(url: str, connections: int, effort: Effort) -> Load:
    if program := _wrk(effort):
        command = [program, "-t1", f"-c{connections}", "-d1s", "--latency", url]
        return _read_wrk(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    command = [sys.executable, "-m", "tests.bench.emulator", url, str(connections), str(min(1.0, 3 * effort.seconds))]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, check=True, text=True)
    return Load(*json.loads(done.stdout))


def _read_wrk(text: str) -> Load:
    units = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
    waits = [(float(value) * units[unit]) for value, unit in re.findall(r"(?:50|99)%\s+([\d.]+)(us|ms|s)", text)]
    counted = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert counted is not None, text
    assert rate is not None, text
    failed = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    failed += sum(int(number) for number in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
    return Load(float(rate[1]), waits[0], waits[1], int(counted[1]), failed)


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=START_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    members = [pid]
    for member in members:  # grows on the way
        try:
            for thread in Path(f"/proc/{member}/task").iterdir():
                members += map(int, (thread / "children").read_text().split())
        except OSError:
            continue
    return members


def _resident(pid: int) -> int:
    try:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


class _Connection(asyncio.Protocol):
    """One connection of the load generator: a request, its answer, and the next one."""

    def __init__(self, request: bytes, waits: list[float], failed: list[int]) -> None:
        self.request, self.waits, self.failed = request, waits, failed
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Ask again when the answer is whole."""
        self.data += data
        head, ended, body = self.data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if ended and length and len(body) >= int(length[1]):
            self.waits.append(time.perf_counter() - self.asked)
            self.failed[0] += not head.startswith(b"HTTP/1.1 2")
            self._ask()

    def _ask(self) -> None:
        self.data, self.asked = b"", time.perf_counter()
        self.transport.write(self.request)


async def _generate(url: str, connections: int, seconds: float) -> Load:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    assert parts.hostname is not None
    assert parts.port is not None
    waits: list[float] = []
    failed = [0]
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    for _ in range(connections):
        make = partial(_Connection, request, waits, failed)
        await loop.create_connection(make, parts.hostname, parts.port)
    await asyncio.sleep(seconds)
    rate, ordered = len(waits) / (time.perf_counter() - began), sorted(waits)
    return Load(rate, percentile(ordered, 50), percentile(ordered, 99), len(waits), failed[0])


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_generate(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))
