"""Emulators that tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.harness import Emulator, running, service

RUNTIMES: dict[str, tuple[str, ...]] = {"inline": ("--inline",), "workers": (), "ric": ("--runtime", "ric")}


@pytest.fixture(scope="session", params=RUNTIMES)
def emulator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The conformance service on each runtime in turn: all must give the same answers."""
    folder = service(tmp_path_factory.mktemp(request.param) / "service")
    options = RUNTIMES[request.param]
    with running(folder, *options, env={"FROM_THE_SHELL": "secret"}) as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for a service of the test."""
    return tmp_path / "service"
