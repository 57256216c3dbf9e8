"""Short times for every fault, and small disks."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared import warm
from tests.faults.observing import BUSY_TIMEOUT, system


@pytest.fixture(autouse=True)
def short_times(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less than in production."""
    monkeypatch.setenv("SWITCHBOARD_BUSY_TIMEOUT_MS", str(int(BUSY_TIMEOUT * 1000)))
    monkeypatch.setenv("SWITCHBOARD_RETRY_DELAY_SECONDS", "0.05")
    monkeypatch.setenv("SWITCHBOARD_WRITE_TIMEOUT_SECONDS", "5")


MakeDisk = Callable[[int], Path]


@pytest.fixture
def make_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeDisk]:
    """A factory of disks of so many KiB, with the service's database on the newest; gone after the test."""
    mounted: list[Path] = []

    def make(size: int) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        system("mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", folder)
        mounted.append(folder)
        warm.reset()
        monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", f"sqlite:///{folder}/classroom.db")
        return folder

    yield make
    warm.reset()
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
