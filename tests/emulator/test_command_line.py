"""What a person sees: the banner, errors in one line, a clean stop."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulator.harness import ROOT, TIMEOUT, Emulator, eventually, running, service, write_service

SMALL = """service: small
provider: {name: aws}
functions:
  one: {handler: app.one, timeout: 5, events: [{httpApi: GET /one}]}
"""
SLEEPS = "import time\ndef one(event, context):\n    time.sleep(1)\n    return 'rested'\n"


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emulator", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_help_tells_every_option() -> None:
    told = run("--help")
    assert told.returncode == 0
    for word in ("--host", "--port", "--manifest", "--stage", "serverless.yml", "Ctrl-C"):
        assert word in told.stdout


def test_the_banner_lists_the_routes(emulator: Emulator) -> None:
    output = emulator.output()
    assert f"conformance (dev) at http://127.0.0.1:{emulator.port} " in output
    assert "POST  /echo/{id}/parts/{part}  echo" in output


def test_a_port_that_is_taken_is_one_clear_line(folder: Path) -> None:
    write_service(folder, SMALL, app=SLEEPS)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = run("--port", str(port), "--manifest", str(folder / "serverless.yml"))
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [(None, "cannot be read: No such file"), ("a: [", "expected"), (SMALL + "    x: 1\n", ":5: ")],
)
def test_a_bad_manifest_is_one_clear_line(folder: Path, text: str | None, told: str) -> None:
    folder.mkdir()
    if text is not None:
        (folder / "serverless.yml").write_text(text)
    result = run("--manifest", str(folder / "serverless.yml"))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {folder / 'serverless.yml'}")
    assert result.stderr.count("\n") == 1
    assert told in result.stderr


def test_listening_to_the_world_is_warned_about(folder: Path) -> None:
    write_service(folder, SMALL, app=SLEEPS)
    with running(folder, "--host", "0.0.0.0") as started:
        assert "warning: listening on 0.0.0.0" in started.output()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_answers_what_is_in_flight(folder: Path, number: int) -> None:
    write_service(folder, SMALL, app=SLEEPS)
    with running(folder) as started, started.connect() as client:
        client.sendall(b"GET /one HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with started.connect() as idle, started.connect() as half:
            idle.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
            idle.recv(1000)  # so the request before has been read
            half.sendall(b"GET /one HTTP/1.1\r\nHost:")
            assert started.stop(number) == 0
        assert client.makefile("rb").read().endswith(b"rested")
        assert "Traceback" not in started.output()


def test_a_second_signal_ends_at_once(folder: Path) -> None:
    forever = "import pathlib, time\ndef one(event, context):\n    pathlib.Path('begun').touch()\n    time.sleep(900)\n"
    write_service(folder, SMALL.replace("timeout: 5", "timeout: 900"), app=forever)
    with running(folder) as started, started.connect() as client:
        client.sendall(b"GET /one HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually((folder / "begun").exists)
        started.process.send_signal(signal.SIGINT)
        eventually(lambda: not started.listens())
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(TIMEOUT) == 0
        assert "Traceback" not in started.output()


def test_a_signal_to_the_whole_group_is_one_signal(folder: Path) -> None:
    write_service(folder, SMALL, app=SLEEPS)
    with running(folder) as started, started.connect() as client, started.connect() as later:
        client.sendall(b"GET /one HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        later.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        later.recv(1000)
        started.process.send_signal(signal.SIGTERM)
        started.process.send_signal(signal.SIGINT)
        assert client.makefile("rb").read().endswith(b"rested")
        assert started.process.wait(TIMEOUT) == 0
        assert "Traceback" not in started.output()


def test_two_services_side_by_side(tmp_path: Path) -> None:
    first, second = service(tmp_path / "first"), write_service(tmp_path / "second", SMALL, app=SLEEPS)
    with running(first) as one, running(second) as two:
        assert one.get("/echo").status == 200
        assert two.get("/one").body == b"rested"
