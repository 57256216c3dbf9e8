"""A changed manifest: noticed, read again, and taken over by the functions and schedules."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emulator.containers import Invocation, Outcome, watch
from emulator.containers.watch import Watch
from emulator.gateway.gateway import Gateway
from emulator.gateway.websocket.websocket_gateway import WebSocketGateway
from emulator.manifest.events import cron
from emulator.manifest.loader import Source
from emulator.manifest.model import Function, Manifest
from emulator.manifest.yaml import files
from emulator.manifest.yaml.document import ManifestError
from emulator.runtime.time_travel import Timeline
from emulator.server.app import Application
from emulator.service.console import Console
from emulator.service.functions import Functions
from emulator.service.logs import LogBook
from emulator.service.project import Project

ONE = "service: one\nfunctions:\n  a: {handler: app.a, events: [{schedule: rate(1 day)}]}\n"
TWO = "service: two\nfunctions:\n  b: {handler: app.b}\n"


class Recorder:
    """Containers that run nothing and remember which manifests they were given."""

    paused = False
    isolated = True

    def __init__(self) -> None:
        self.manifests: list[Manifest] = []

    async def start(self) -> None:
        """Nothing to start."""

    async def invoke(self, function: Function, invocation: Invocation) -> Outcome:
        """No test of this file calls a function."""
        raise AssertionError

    def figures(self, function: Function) -> None:
        """It has no environments."""

    def replace(self, manifest: Manifest) -> None:
        """Remember it."""
        self.manifests.append(manifest)

    async def follow(self, timeline: Timeline) -> None:
        """Nothing to show."""

    async def stop(self) -> None:
        """Nothing to stop."""


class Slow(Recorder):
    """Containers whose function runs until the test ends it."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.end = asyncio.Event(), asyncio.Event()
        self.noted: list[str] = []

    async def invoke(self, function: Function, invocation: Invocation) -> Outcome:
        """Begin, and wait for the end."""
        self.begun.set()
        await self.end.wait()
        self.noted.append("the call has ended")
        return Outcome(b"null")

    async def stop(self) -> None:
        """Note the time."""
        self.noted.append("the containers are stopped")


class Once:
    """The expression of a schedule that is due now and never again."""

    def __init__(self) -> None:
        self.due: list[datetime] = [datetime.now(UTC)]

    def after(self, *_: object) -> datetime | None:
        """The next time."""
        return self.due.pop() if self.due else None


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(watch, "INTERVAL", 0.0)
    path = tmp_path / "serverless.yml"
    path.write_text(ONE)
    return path


def project(path: Path, containers: Recorder, manifest: Manifest | None = None) -> Project:
    source, console = Source(path), Console(quiet=True)
    return Project(source, manifest or source.load(), Functions(containers, LogBook(), console), console)


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


@pytest.mark.parametrize("name", ["serverless.yml", "functions.yml", ".env"])
def test_a_file_that_is_written_while_the_manifest_is_read_is_read_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    texts = {
        "serverless.yml": "service: one\nuseDotenv: true\nfunctions: ${file(functions.yml)}\n",
        "functions.yml": "a: {handler: app.one, environment: {FROM: '${env:FROM_DOTENV}'}}\n",
        ".env": "FROM_DOTENV=one\n",
    }
    for each, text in texts.items():
        path.with_name(each).write_text(text)
    read = files.text

    def read_and_write(file: Path) -> str:
        text = read(file)
        if file.name == name:
            file.write_text(texts[name].replace("one", "three"))
        return text

    async def run() -> None:
        monkeypatch.setattr(files, "text", read_and_write)
        manifest = Source(path).load()
        served = project(path, Recorder(), manifest)
        assert served.refresh() is not manifest

    asyncio.run(run())


def test_a_file_that_was_missing_is_read_once_it_is_there(path: Path) -> None:
    path.write_text("service: ${file(name.yml):name, 'nameless'}\nfunctions:\n  a: {handler: app.a}\n")

    async def run() -> None:
        served = project(path, Recorder())
        assert served.manifest.service == "nameless"
        path.with_name("name.yml").write_text("name: named\n")
        assert served.refresh().service == "named"

    asyncio.run(run())


def test_a_stop_waits_for_the_scheduled_call_that_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expression = Once()
    monkeypatch.setattr(cron, "parse", lambda _: expression)

    async def run() -> list[str]:
        containers = Slow()
        served = project(path, containers)
        starlette = Application(served, Gateway(served), WebSocketGateway(served)).starlette
        async with starlette.router.lifespan_context(starlette):
            await containers.begun.wait()
            asyncio.get_running_loop().call_later(0.05, containers.end.set)  # while it stops
        return containers.noted

    assert asyncio.run(run()) == ["the call has ended", "the containers are stopped"]


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
    watched = Watch({file: files.stamp(file)})
    file.write_text("22")
    assert [watched.changed(), watched.changed()] == [True, True]
    watched = Watch({file: files.stamp(file)})
    assert not watched.changed()
    file.write_text("333")
    assert not watched.changed()
