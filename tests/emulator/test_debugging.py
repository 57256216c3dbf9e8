"""Debuggers: Python's own prompt under --inline, debugpy under workers, and runs without time limits."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.emulator.conftest import RUNTIMES
from tests.emulator.debug_adapter import DebugSession
from tests.emulator.harness import Emulator, eventually, running, write_service
from tests.emulator.test_command_line import run

MANIFEST = """
service: debug
provider: {name: aws, timeout: 1}
functions:
  stops: {handler: app.stops, events: [{httpApi: GET /stops}]}
  slow: {handler: app.slow, events: [{httpApi: GET /slow}]}
"""
APP = """
import time
def stops(event, context):
    text = event["rawQueryString"]
    breakpoint()
    return text

def slow(event, context):
    time.sleep(1.5)
    return context.get_remaining_time_in_millis() > 60_000
"""


@pytest.fixture
def debug(folder: Path) -> Path:
    return write_service(folder, MANIFEST, app=APP)


def say(emulator: Emulator, line: str) -> None:
    assert emulator.process.stdin
    emulator.process.stdin.write(f"{line}\n".encode())
    emulator.process.stdin.flush()


def test_at_a_breakpoint_no_time_passes_and_one_request_at_a_time_has_the_prompt(debug: Path) -> None:
    with (
        running(debug, "--inline", stdin=subprocess.PIPE) as started,
        ThreadPoolExecutor(2) as callers,
    ):
        answers = [callers.submit(started.get, f"/stops?{number}") for number in (1, 2)]
        started.wait_for("(Pdb)")
        time.sleep(1.5)  # longer than the function may run
        assert started.output().count("(Pdb)") == 1
        say(started, "p 'text is ' + text")
        started.wait_for("'text is ")
        say(started, "c")
        eventually(lambda: started.output().count("(Pdb)") == 3)
        say(started, "c")
        assert sorted(answer.result().body for answer in answers) == [b"1", b"2"]
        assert started.get("/slow").status == 503


def test_debugpy_stops_in_worker_processes_and_no_time_passes_there(debug: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = str(debug / "app.py"), APP.splitlines().index("    time.sleep(1.5)") + 1
    listening = ["-m", "debugpy", "--listen", f"127.0.0.1:{port}"]
    with running(debug, python=listening) as started, ThreadPoolExecutor(1) as caller, contextlib.ExitStack() as stack:
        emulator = stack.enter_context(contextlib.closing(DebugSession(port, *place)))
        answer = caller.submit(started.get, "/slow")
        attach = emulator.event("debugpyAttach")
        worker = stack.enter_context(contextlib.closing(DebugSession(attach["connect"]["port"], *place, **attach)))
        stopped = worker.event("stopped")
        assert stopped["reason"] == "breakpoint"
        time.sleep(1.5)  # longer than the function may run
        worker.send("continue", threadId=stopped["threadId"])
        assert (answer.result().status, answer.result().body) == (200, b"false")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_without_timeouts_functions_run_on(debug: Path, runtime: str) -> None:
    with running(debug, "--no-timeouts", *RUNTIMES[runtime]) as started:
        assert started.get("/slow").body == b"true"


def test_a_single_call_has_no_timeout_either(debug: Path) -> None:
    told = run("invoke", "slow", "--no-timeouts", "--manifest", str(debug / "serverless.yml"))
    assert (told.returncode, told.stdout) == (0, "true\n")
