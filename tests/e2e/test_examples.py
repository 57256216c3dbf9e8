"""The examples do what they say, against the emulator."""

import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from shared.config import Settings
from tests.e2e.conftest import ROOT, emulating
from tests.storage import Storage

EXAMPLES = ROOT / "examples"
LESSON = [
    "ann may join: true",
    "eve may join: false",
    "ms_noether reads: ['What is 1/2 + 1/4?', '3/4']",
    "bob reads: []",
    "status: ended",
    "ann may join: false",
]


def printed(*command: str | Path) -> list[str]:
    """The lines that a client prints, with Python's and JavaScript's values written alike."""
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    alike = {"True": "true", "False": "false", "[ '": "['", "' ]": "']"}
    for one, other in alike.items():
        ran.stdout = ran.stdout.replace(one, other)
    return ran.stdout.splitlines()


def test_the_client_in_python(port: int) -> None:
    assert printed(sys.executable, EXAMPLES / "client.py", f"http://127.0.0.1:{port}") == LESSON


@pytest.mark.skipif(shutil.which("node") is None, reason="node is missing: on Debian, apt-get install nodejs")
def test_the_client_in_javascript(port: int) -> None:
    assert printed("node", EXAMPLES / "client.mjs", f"http://127.0.0.1:{port}") == LESSON


CLIENTS = [
    pytest.param(sys.executable, "client.py", id="Python"),
    pytest.param(sys.executable, "live.py", id="WebSocket"),
    pytest.param(
        "node", "client.mjs", id="JavaScript", marks=pytest.mark.skipif(shutil.which("node") is None, reason="no node")
    ),
]


@pytest.mark.parametrize(("program", "client"), CLIENTS)
def test_a_client_says_in_one_line_that_no_service_is_there(program: str, client: str) -> None:
    ran = subprocess.run([program, EXAMPLES / client, "http://127.0.0.1:1"], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1), ran.stderr
    assert ran.stderr.startswith("http://127.0.0.1:1: ")


@pytest.mark.parametrize(("program", "client"), CLIENTS)
def test_a_client_says_what_the_gateway_refuses(program: str, client: str, port: int) -> None:
    address = f"http://127.0.0.1:{port}/nowhere"
    ran = subprocess.run([program, EXAMPLES / client, address], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (1, f"{address}: Not Found\n")


def test_the_time_frozen_test() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", str(EXAMPLES)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, "2 passed" in ran.stdout) == (0, True), ran.stdout


def test_the_deployments_parameters_reach_the_functions(postgres: Storage, tmp_path: Path) -> None:
    lines = (EXAMPLES / "production.env").read_text().splitlines()
    parameters = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    Settings.from_environment(parameters)
    here = parameters | {"SWITCHBOARD_DATABASE_URL": postgres.url}
    (tmp_path / "here.env").write_text("".join(f"{name}={value}\n" for name, value in here.items()))
    with emulating("--env-file", str(tmp_path / "here.env"), SWITCHBOARD_DATABASE_URL="sqlite:///nowhere/x.db") as port:
        session = b'{"name": "A", "instructor_id": "ms", "student_ids": ["ann"]}'
        ask = urllib.request.Request(f"http://127.0.0.1:{port}/api/sessions", session, method="POST")
        with urllib.request.urlopen(ask) as answer:
            id_ = json.load(answer)["session"]["id"]
        query = f"http://127.0.0.1:{port}/api/sessions/{id_}/validate?user_id=ann&role=student"
        with urllib.request.urlopen(query) as answer:
            assert "Switchboard-Status-Age-Ms" in answer.headers
    assert postgres.ask(["SELECT name FROM sessions"]) == [[("A",)]]
