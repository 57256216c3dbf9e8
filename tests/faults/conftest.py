"""Short timeouts for the tests of faults, servers to break, and small disks."""

import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared import environment
from tests.faults.observing import BUSY_TIMEOUT, system
from tests.postgres.server import Server
from tests.storage import Storage


@pytest.fixture(autouse=True)
def short_times(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set shorter timeouts than in production."""
    monkeypatch.setenv("SWITCHBOARD_BUSY_TIMEOUT_MS", str(int(BUSY_TIMEOUT * 1000)))
    monkeypatch.setenv("SWITCHBOARD_RETRY_DELAY_SECONDS", "0.05")
    monkeypatch.setenv("SWITCHBOARD_WRITE_TIMEOUT_SECONDS", "5")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL server for the tests of one file, which may stop and break it."""
    with Server() as server:
        yield server


@pytest.fixture
def served(server: Server, short_times: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a new database on that server, which the service uses until the test ends."""
    name = f"classroom_{next(_names)}"
    with server.connect() as administrator:
        administrator.execute(f"CREATE DATABASE {name}")
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", server.url(name))
    environment.reset()
    yield name
    environment.reset()


_names = itertools.count(1)

MakeDisk = Callable[[int], Path]


@pytest.fixture
def make_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeDisk]:
    """A factory of small disks, sized in KiB; the database is on the newest. They are removed after the test."""
    mounted: list[Path] = []

    def make(size: int) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        system("mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", folder)
        mounted.append(folder)
        environment.reset()
        monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", f"sqlite:///{folder}/classroom.db")
        return folder

    yield make
    environment.reset()
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
