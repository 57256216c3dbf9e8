"""What a person sees: the banner, errors in one line, a clean stop."""

from __future__ import annotations

import os
import shlex
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
    assert f"  page  http://127.0.0.1:{emulator.port}/_emulator/\n" in output
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


def small(folder: Path) -> str:
    return str(write_service(folder, SMALL, app=SLEEPS) / "serverless.yml")


def test_options_before_a_command_are_its_options(folder: Path, tmp_path: Path) -> None:
    manifest = small(folder)
    assert run("--manifest", manifest, "routes").stdout == "GET  /one  one    5 s\n"
    told = run("--manifest", manifest, "--runtime", "inline", "--stage", "s", "invoke", "one")
    assert (told.stdout, told.returncode) == ('"rested"\n', 0)
    other = str(write_service(tmp_path / "other", SMALL.replace("one", "two"), app=SLEEPS) / "serverless.yml")
    assert "/two" in run("--manifest", manifest, "routes", "--manifest", other).stdout


@pytest.mark.parametrize("arguments", [("--host", "0.0.0.0"), ("--prewarm", "1"), ("--port", "1")])
def test_an_option_of_the_server_before_another_command_is_refused(folder: Path, arguments: tuple[str, str]) -> None:
    told = run(*arguments, "routes", "--manifest", small(folder))
    message = f"error: {arguments[0]} has no effect on routes: it is an option of the server\n"
    assert (told.returncode, told.stdout, told.stderr) == (1, "", message)


@pytest.mark.parametrize("command", ["serve", "invoke"])
@pytest.mark.parametrize(
    ("python", "reason"),
    [("/bin/true", "this program is not a Python 3"), ("no-such-python", "there is no such program")],
)
def test_a_python_that_is_none_is_refused_at_once(folder: Path, command: str, python: str, reason: str) -> None:
    arguments = ["invoke", "one"] if command == "invoke" else ["--port", "0"]
    told = run(*arguments, "--python", python, "--manifest", small(folder))
    assert (told.returncode, told.stdout, told.stderr) == (1, "", f"error: --python {python}: {reason}\n")


def test_a_python_is_found_from_the_callers_folder(folder: Path, tmp_path: Path) -> None:
    manifest = small(folder)
    (tmp_path / "python").symlink_to(sys.executable)
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "emulator", "invoke", "one", "--python", "./python", "--manifest", manifest]
    told = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (0, '"rested"\n')


@pytest.mark.parametrize("command", ["routes", "openapi", "invoke one"])
@pytest.mark.parametrize(
    ("redirection", "reason"), [(">/dev/full", "cannot be written: No space"), (">&-", "is closed")]
)
def test_an_output_that_takes_nothing_is_an_error(folder: Path, command: str, redirection: str, reason: str) -> None:
    arguments = [sys.executable, "-m", "emulator", *command.split(), "--manifest", small(folder)]
    line = f"exec {shlex.join(arguments)} {redirection}"
    told = subprocess.run(["/bin/sh", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1].startswith(f"error: standard output {reason}")
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("command", ["--help", "invoke --help"])
@pytest.mark.parametrize(
    ("redirection", "reason"), [(">/dev/full", "cannot be written: No space left on device"), (">&-", "is closed")]
)
def test_a_help_that_cannot_be_written_is_an_error(command: str, redirection: str, reason: str) -> None:
    line = f"exec {shlex.quote(sys.executable)} -m emulator {command} {redirection}"
    told = subprocess.run(["/bin/sh", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (1, f"error: standard output {reason}\n")


def test_a_reader_that_left_ends_the_command_without_a_word(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "emulator", "routes", "--manifest", small(folder)]
    told = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (told.returncode, told.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("environ", "colours"),
    [
        ({}, False),
        ({"CLICOLOR_FORCE": "1"}, True),
        ({"CLICOLOR_FORCE": "0"}, False),
        ({"CLICOLOR_FORCE": "1", "TERM": "dumb"}, True),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colours_without_a_terminal(folder: Path, environ: dict[str, str], colours: bool) -> None:
    small(folder)
    with running(folder, env=environ) as started:
        started.get("/nowhere")
        assert ("\x1b[33m404\x1b[0m" in started.wait_for("GET     /nowhere")) is colours


@pytest.mark.parametrize(
    ("environ", "colours"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_colours_on_a_terminal(environ: dict[str, str], colours: bool) -> None:
    ours, theirs = os.openpty()
    code = "from emulator.service.console import coloured; print(coloured())"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=theirs, env=environ, check=True)
    os.close(theirs)
    assert os.read(ours, 100).decode().strip() == str(colours)
    os.close(ours)


def test_a_manifest_without_routes_says_so(folder: Path) -> None:
    path = write_service(folder, "service: s\nfunctions: {one: {handler: app.one, events: [{sns: topic}]}}\n")
    told = run("routes", "--manifest", str(path / "serverless.yml"))
    assert (told.returncode, told.stdout) == (0, "")
    assert "sns events are not emulated" in told.stderr
    assert "serverless.yml: no function has an httpApi, http or websocket event" in told.stderr


def test_one_function_is_not_many(folder: Path) -> None:
    small(folder)
    with running(folder) as started:
        assert "   1 function, workers" in started.output()
        (folder / "serverless.yml").write_text(SMALL + "  # changed\n")
        eventually(lambda: started.get("/nowhere") and "has changed" in started.output())
        assert "serverless.yml has changed: 1 function\n" in started.output()


def test_a_changed_manifest_warns_of_what_is_new(folder: Path) -> None:
    text = SMALL.replace("{httpApi: GET /one}", "{httpApi: GET /one}, {sns: old}")
    write_service(folder, text, app=SLEEPS)
    with running(folder) as started:
        (folder / "serverless.yml").write_text(text.replace("{sns: old}", "{sns: old}, {sqs: new}"))
        eventually(lambda: started.get("/nowhere") and "has changed" in started.output())
        assert started.output().count("sns events are not emulated") == 1
        assert started.output().count("sqs events are not emulated") == 1


def test_routes_shows_those_of_a_websocket_api_and_where_it_is_served(folder: Path) -> None:
    text = "service: chat\nprovider: {name: aws, stage: test}\nfunctions:\n"
    write_service(folder, f"{text}  one: {{handler: app.one, events: [{{websocket: $connect}}]}}\n")
    told = run("routes", "--manifest", str(folder / "serverless.yml"))
    lines = ["WS  $connect  one    6 s", "WebSocket  /ws  /test  test-chat-websockets"]
    assert (told.returncode, told.stdout.splitlines(), told.stderr) == (0, lines, "")
