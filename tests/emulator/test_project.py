"""A changed manifest: noticed, read again, and taken over by the functions and schedules."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from emulator.containers import Invocation, Outcome, watch
from emulator.containers.watch import Watch
from emulator.manifest.document import ManifestError
from emulator.manifest.loader import Source
from emulator.manifest.model import Function, Manifest
from emulator.service.console import Console
from emulator.service.functions import Functions
from emulator.service.logs import LogBook
from emulator.service.project import Project

ONE = "service: one\nfunctions:\n  a: {handler: app.a, events: [{schedule: rate(1 day)}]}\n"
TWO = "service: two\nfunctions:\n  b: {handler: app.b}\n"


class Recorder:
    """Containers that run nothing and remember which manifests they were given."""

    def __init__(self) -> None:
        self.manifests: list[Manifest] = []

    async def start(self) -> None:
        """Nothing to start."""

    async def invoke(self, function: Function, invocation: Invocation) -> Outcome:
        """No test of this file calls a function."""
        raise AssertionError

    def replace(self, manifest: Manifest) -> None:
        """Remember it."""
        self.manifests.append(manifest)

    async def stop(self) -> None:
        """Nothing to stop."""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(watch, "INTERVAL", 0.0)
    path = tmp_path / "serverless.yml"
    path.write_text(ONE)
    return path


def project(path: Path, containers: Recorder) -> Project:
    source, console = Source(path), Console(quiet=True)
    return Project(source, source.load(), Functions(containers, LogBook(), console), console)


def test_a_changed_manifest_replaces_functions_and_schedules(path: Path) -> None:
    containers = Recorder()

    async def run() -> None:
        served = project(path, containers)
        await served.start()
        assert served.refresh() is served.manifest
        assert len(served.schedules.known) == 1
        path.write_text(TWO)
        assert list(served.refresh().functions) == ["b"]
        assert containers.manifests == [served.manifest]
        assert not served.schedules.known
        await served.schedules.stop()

    asyncio.run(run())


def test_an_unreadable_manifest_is_an_error_until_it_is_mended(path: Path) -> None:
    async def run() -> None:
        served = project(path, Recorder())
        path.write_text("service: [")
        for _ in range(3):
            with pytest.raises(ManifestError):
                served.refresh()
        assert list(served.manifest.functions) == ["a"]
        path.write_text(TWO)
        assert list(served.refresh().functions) == ["b"]

    asyncio.run(run())


def test_a_change_is_reported_at_every_look_and_no_change_is_kept_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "INTERVAL", 3600.0)
    file = tmp_path / "module.py"
    file.write_text("1")
    watched = Watch([file])
    file.write_text("22")
    assert [watched.changed(), watched.changed()] == [True, True]
    watched = Watch([file])
    assert not watched.changed()
    file.write_text("333")
    assert not watched.changed()
