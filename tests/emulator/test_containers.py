"""Containers that cannot start, and background tasks that fail: every caller gets an answer, and a stop ends."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from emulator.containers import Fault, Invocation, Outcome, ric
from emulator.containers.container import Owner
from emulator.containers.process import Process
from emulator.containers.tasks import Tasks, repeat
from emulator.containers.worker import Worker
from emulator.containers.workers import Settings, WorkerContainers
from emulator.manifest.events import cron
from emulator.manifest.loader import load
from emulator.manifest.model import Manifest
from emulator.service.asynchronous import Asynchronous
from emulator.service.console import Console
from emulator.service.functions import Functions
from emulator.service.logs import LogBook
from emulator.service.schedules import Schedules
from tests.emulator.harness import eventually, running, write_service

MANIFEST = """
service: small
functions:
  hello: {handler: app.hello, timeout: 5, events: [{schedule: rate(1 day)}]}
"""
T = TypeVar("T")


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    write_service(folder, MANIFEST, app="def hello(event, context):\n    return event\n")
    return load(folder / "serverless.yml", {})


def within(seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    async def run() -> T:
        async with asyncio.timeout(seconds):
            return await work()

    return asyncio.run(run())


async def outcomes(containers: WorkerContainers, manifest: Manifest, count: int) -> list[Outcome]:
    """What comes of so many invocations at the same time, after which the containers are stopped."""
    await containers.start()
    invocations = [Invocation(f"id-{number}", b"{}") for number in range(count)]
    found = await asyncio.gather(*(containers.invoke(manifest.functions["hello"], one) for one in invocations))
    await containers.stop()
    return found


def test_a_process_that_cannot_be_started_is_every_waiting_callers_error(manifest: Manifest) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    settings = Settings(max_containers=1, prewarm=1, extra={"A=B": "refused by the system"})
    found = within(10, lambda: outcomes(WorkerContainers(manifest, settings), manifest, 3))
    assert [outcome.fault for outcome in found] == [Fault.EXITED] * 3
    assert json.loads(found[0].payload)["errorMessage"].startswith("no process for hello: ValueError")
    assert len(list(Path("/dev/fd").iterdir())) <= before


class HalfStarted(Worker):
    """A worker whose start fails when its process is running already."""

    pids: list[int] = []  # noqa: RUF012

    async def start(self, python: str, environ: dict[str, str], root: str) -> None:
        """Start, then fail."""
        await super().start(python, environ, root)
        self.pids.append(self.process.pid)
        raise RuntimeError("no further")


def test_a_start_that_fails_half_way_leaves_no_process(manifest: Manifest) -> None:
    containers = WorkerContainers(manifest, Settings(max_containers=1), HalfStarted)
    found = within(10, lambda: outcomes(containers, manifest, 2))
    assert [json.loads(one.payload)["errorMessage"] for one in found] == [
        "no process for hello: RuntimeError: no further"
    ] * 2
    for pid in HalfStarted.pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_process_that_cannot_be_watched_is_ended(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []

    def refuse(self: Process, popen: subprocess.Popen[bytes]) -> None:
        pids.append(popen.pid)
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Process, "_listen_for_exit", refuse)
    found = within(10, lambda: outcomes(WorkerContainers(manifest, Settings()), manifest, 1))
    assert json.loads(found[0].payload)["errorMessage"] == "no process for hello: Too many open files"
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_process_is_watched_where_the_system_refuses_descriptors_of_processes(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int) -> int:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    (found,) = within(10, lambda: outcomes(WorkerContainers(manifest, Settings()), manifest, 1))
    assert (found.fault, found.payload) == (None, b"{}")


def test_the_next_container_may_start_where_one_could_not(manifest: Manifest) -> None:
    started: list[Worker] = []

    def make(owner: Owner) -> Worker:
        started.append(HalfStarted(owner) if not started else Worker(owner))
        return started[-1]

    found = within(10, lambda: outcomes(WorkerContainers(manifest, Settings(max_containers=1), make), manifest, 2))
    assert [outcome.fault for outcome in found] == [Fault.EXITED, None]


def test_an_event_that_cannot_be_sent_is_an_error_and_the_container_goes_on(manifest: Manifest) -> None:
    containers, function = WorkerContainers(manifest, Settings(max_containers=1)), manifest.functions["hello"]

    async def run() -> list[Outcome]:
        await containers.start()
        first = await containers.invoke(function, Invocation("one", b"1"))
        second = await containers.invoke(function, Invocation("two", b"2", "\ud800"))
        third = await containers.invoke(function, Invocation("three", b"3"))
        await containers.stop()
        return [first, second, third]

    first, second, third = within(4, run)
    assert (first.payload, third.payload) == (b"1", b"3")
    assert "cannot be sent" in json.loads(second.payload)["errorMessage"]
    assert third.init is None  # the same container


def reported(work: Callable[[], Awaitable[None]]) -> list[Any]:
    """The exceptions that were reported while this ran."""
    found: list[Any] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context["exception"]))
        async with asyncio.timeout(10):
            await work()

    asyncio.run(run())
    return found


def test_a_container_that_was_used_lately_is_not_idle(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkerContainers, "SWEEP_SECONDS", 0.001)
    containers, function = WorkerContainers(manifest, Settings(idle_seconds=300)), manifest.functions["hello"]

    async def run() -> list[Outcome]:
        await containers.start()
        found = [await containers.invoke(function, Invocation("one", b"1"))]
        await asyncio.sleep(0.1)  # many sweeps
        found.append(await containers.invoke(function, Invocation("two", b"2")))
        await containers.stop()
        return found

    first, second = within(20, run)
    assert (first.init is None, second.init is None) == (False, True)


def test_each_invocation_of_a_container_has_the_whole_timeout(folder: Path) -> None:
    write_service(
        folder,
        "service: slow\nfunctions:\n  nap: {handler: app.nap, timeout: 1}\n",
        app="import time\ndef nap(event, context):\n    time.sleep(event)\n",
    )
    manifest = load(folder / "serverless.yml", {})
    containers, function = WorkerContainers(manifest, Settings(max_containers=1)), manifest.functions["nap"]

    async def run() -> tuple[Outcome, float]:
        await containers.start()
        assert (await containers.invoke(function, Invocation("short", b"0.5"))).fault is None
        begun = asyncio.get_running_loop().time()
        late = await containers.invoke(function, Invocation("late", b"60"))
        took = asyncio.get_running_loop().time() - begun
        await containers.stop()
        return late, took

    late, took = within(20, run)
    assert (late.fault, took >= 0.95) == (Fault.TIMED_OUT, True)


def test_a_background_task_that_fails_is_reported() -> None:
    error = ValueError("in the background")

    async def fail() -> None:
        raise error

    async def work() -> None:
        tasks = Tasks()
        tasks.start(fail())
        await tasks.wait()

    assert reported(work) == [error]


def test_a_repeated_action_goes_on_after_it_failed() -> None:
    calls = 0
    error = ValueError("once")

    async def work() -> None:
        thrice = asyncio.Event()

        def action() -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise error
            if calls == 3:
                thrice.set()

        tasks = Tasks()
        tasks.start(repeat(0, action))
        await thrice.wait()
        tasks.cancel()
        await tasks.wait()

    assert reported(work) == [error]
    assert calls == 3


def test_a_schedule_that_fails_is_reported_and_does_not_prevent_a_stop(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OverflowError("date value out of range")

    def parse(_: str) -> Any:
        raise error

    async def work() -> None:
        console = Console(quiet=True)
        functions = Functions(WorkerContainers(manifest, Settings()), LogBook(), console)
        schedules = Schedules(functions, console, Asynchronous(functions, console, manifest.function))
        schedules.start(manifest)
        await asyncio.sleep(0)
        await schedules.stop()

    monkeypatch.setattr(cron, "parse", parse)
    assert reported(work) == [error]


def test_a_project_whose_folder_cannot_be_read_has_no_sources(tmp_path: Path) -> None:
    (tmp_path / "app.py").touch()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "other.py").touch()
    assert ric.sources(str(tmp_path)) == [str(tmp_path / "app.py")]
    assert ric.sources(str(tmp_path / "gone")) == []


def test_inline_functions_see_the_changed_manifests_environment_alone(folder: Path) -> None:
    text = "service: small\nfunctions:\n  see: {handler: app.see, environment: {%s}, events: [{httpApi: GET /see}]}\n"
    app = "import os\ndef see(event, context):\n    return [os.environ.get(name) for name in ('ONE', 'TWO', 'HOST')]\n"
    write_service(folder, text % "ONE: one, HOST: manifest", app=app)
    with running(folder, "--inline", env={"HOST": "shell"}) as started:
        assert started.get("/see").json == ["one", None, "manifest"]
        write_service(folder, text % "TWO: second")
        eventually(lambda: started.get("/see").json == [None, "second", "shell"])
