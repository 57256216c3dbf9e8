"""Functions in the emulator's own process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.emulator.harness import running, write_service

MANIFEST = """
service: inline
functions:
  stuck: {handler: app.stuck, timeout: 1, events: [{httpApi: GET /stuck}]}
  fine: {handler: app.fine, timeout: 5, events: [{httpApi: GET /fine}]}
"""
APP = """
import threading

def stuck(event, context):
    threading.Event().wait()

def fine(event, context):
    return "fine"
"""
THREADS = 40
"""What the process has for functions that are not stuck."""


def test_functions_that_never_end_do_not_use_up_the_threads_of_the_others(folder: Path) -> None:
    write_service(folder, MANIFEST, app=APP)
    with running(folder, "--inline") as started, ThreadPoolExecutor(THREADS) as callers:
        stuck = callers.map(lambda _: started.get("/stuck").status, range(THREADS))
        assert list(stuck) == [503] * THREADS
        assert started.get("/fine").body == b"fine"
