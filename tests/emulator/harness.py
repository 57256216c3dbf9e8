"""Starts the emulator with a service of the test, sends requests to it, and ends it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SERVICE = Path(__file__).parent / "service"
PROJECTS = Path(__file__).parent / "projects"
TIMEOUT = 120.0  # seconds; only a broken test waits this long


@dataclass(frozen=True)
class Answer:
    """One HTTP response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next((value for key, value in self.headers if key == name), None)


class Emulator:
    """An emulator process."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        env: dict[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        python: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.options = options
        self.log = folder.parent / f"{folder.name}.out"
        command = [
            sys.executable,
            *python,
            "-m",
            "emulator",
            "--port",
            "0",
            "--manifest",
            str(folder / "serverless.yml"),
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *options],
                cwd=ROOT,
                stdin=stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            )
        self.port = self._port()

    def _port(self) -> int:
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(r"at http://[^ ]+:(\d+) ", self.output()):
                return int(found[1])
            time.sleep(0.01)
        self.kill()
        raise AssertionError(f"the emulator did not start:\n{self.output()}")

    def output(self) -> str:
        """The output so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str) -> str:
        """Wait until `text` is in the output, and return the output."""
        deadline = time.monotonic() + TIMEOUT
        while text not in self.output():
            assert time.monotonic() < deadline, f"{text!r} never appeared in:\n{self.output()}"
            time.sleep(0.01)
        return self.output()

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Iterable[tuple[str, str]] = ()
    ) -> Answer:
        """Send one request on a new connection, with exactly these headers in this order."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            found = [(name.lower(), value) for name, value in response.getheaders()]
            return Answer(response.status, found, response.read())

    def get(self, path: str, *headers: tuple[str, str]) -> Answer:
        """A GET request."""
        return self.request("GET", path, headers=headers)

    def post(self, path: str, value: Any) -> Answer:
        """A POST request with a JSON body."""
        body = json.dumps(value).encode()
        return self.request("POST", path, body, [("Content-Type", "application/json")])

    def connect(self) -> socket.socket:
        """An open TCP connection, for malformed requests."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)

    def listens(self) -> bool:
        """Whether it accepts connections."""
        try:
            self.connect().close()
        except ConnectionError:
            return False
        return True

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send SIGTERM and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the emulator did not stop:\n{self.output()}") from None

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(TIMEOUT)


def eventually(condition: Callable[[], object]) -> None:
    """Return when the condition holds."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.01)


def assert_just_now(text: str, milliseconds: int) -> None:
    """Assert that the two times of an event are the same, and recent."""
    assert datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp() == milliseconds // 1000
    assert 0 <= time.time() * 1000 - milliseconds < 60_000


def service(folder: Path) -> Path:
    """A copy of the conformance service, with one module that Python cannot read."""
    shutil.copytree(SERVICE, folder)
    (folder / "broken.py.txt").rename(folder / "broken.py")
    return folder


def project(folder: Path, name: str) -> Path:
    """A copy of one of the projects with a framework."""
    return Path(shutil.copytree(PROJECTS / name, folder, ignore=shutil.ignore_patterns("__pycache__")))


@contextlib.contextmanager
def running(
    folder: Path,
    *options: str,
    env: dict[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    python: Sequence[str] = (),
) -> Iterator[Emulator]:
    """An emulator that runs during a `with` block; `python` are options of the interpreter before `-m emulator`."""
    emulator = Emulator(folder, *options, env=env, stdin=stdin, python=python)
    try:
        yield emulator
    finally:
        if emulator.process.poll() is None:
            emulator.stop()
        if emulator.process.stdin:
            emulator.process.stdin.close()


def write_service(folder: Path, manifest: str, **modules: str) -> Path:
    """Write a service: the text of its manifest and of its modules."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "serverless.yml").write_text(manifest)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    return folder
