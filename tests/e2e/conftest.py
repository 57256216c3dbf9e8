"""The emulator of this project, as `make run` starts it, on a free port."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@contextmanager
def emulating(*options: str, **environment: str) -> Iterator[int]:
    """The port of an emulator that runs until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "emulator", "--port", str(free), *options]
    emulator = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert emulator.stdout is not None
    try:
        for line in emulator.stdout:
            if "GET     /health" in line:  # the last line of the banner
                break
        yield free
    finally:
        emulator.send_signal(signal.SIGTERM)
        rest = emulator.communicate()[0]
    assert emulator.returncode == 0, rest


@pytest.fixture
def port(database: Path) -> Iterator[int]:
    """An emulator on the test's file."""
    with emulating() as port:
        yield port
