"""Emulators that tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.emulator.harness import TIMEOUT, Emulator, project, running, service

RUNTIMES: dict[str, tuple[str, ...]] = {"inline": ("--inline",), "workers": (), "ric": ("--runtime", "ric")}


@pytest.fixture(scope="session", params=RUNTIMES)
def emulator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The conformance service on each runtime in turn: all must give the same answers."""
    folder = service(tmp_path_factory.mktemp(request.param) / "service")
    options = RUNTIMES[request.param]
    with running(folder, *options, env={"FROM_THE_SHELL": "secret"}) as started:
        yield started


@pytest.fixture(scope="module", params=RUNTIMES)
def framework(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The project that the test module names in PROJECT, on each runtime in turn."""
    folder = project(tmp_path_factory.mktemp(request.param) / "service", request.module.PROJECT)
    with running(folder, *RUNTIMES[request.param]) as started:
        yield started


@pytest.fixture
def browser(framework: Emulator) -> Iterator[httpx.Client]:
    """An HTTP client that keeps cookies and follows redirects."""
    url = f"http://127.0.0.1:{framework.port}"
    with httpx.Client(base_url=url, follow_redirects=True, timeout=TIMEOUT) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for a service of the test."""
    return tmp_path / "service"
