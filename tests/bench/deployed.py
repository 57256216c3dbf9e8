"""The functions as they are deployed: the files of the zip in a folder of their own, with and without bytecode.

They are laid out for the Python that runs the benchmarks, from its installed packages, so no packager is needed.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
_REQUIREMENTS = ROOT / "functions" / "requirements.txt"
_LEFT_OUT = {"__pycache__", "tests", "sqlite_extra_binaries", "bin", "peewee-stubs"}  # by the packager too

SHARE = 7
"""A function with 256 MB has about a seventh of a processor."""
_PERIOD = 20_000  # microseconds


def unpacked(folder: Path, *, bytecode: bool) -> Path:
    """Lay the zip's files into a new folder, which is for reading only."""
    task, package = folder / "task", folder / "package.zip"
    with zipfile.ZipFile(package, "w") as archive:
        for name, path in _files():
            archive.write(path, name)
    if bytecode:
        subprocess.run([sys.executable, str(ROOT / "deploy" / "bytecode.py"), str(package)], check=True)
    shutil.unpack_archive(package, task)
    for path in (task, *task.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    return task


def _files() -> Iterator[tuple[str, Path]]:
    for top in ("functions", "shared"):
        for path in sorted((ROOT / top).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path
    needed = [line.partition("#")[0].strip() for line in _REQUIREMENTS.read_text("utf-8").splitlines()]
    for name in _with_dependencies([Requirement(line) for line in needed if line]):
        for file in metadata.files(name) or ():
            if not (_LEFT_OUT & set(file.parts) or ".." in file.parts or ".dist-info" in file.parts[0]):
                yield file.as_posix(), Path(str(file.locate()))


def _with_dependencies(wanted: list[Requirement]) -> set[str]:
    found: set[str] = set()
    while wanted:
        one = wanted.pop()
        found.add(one.name.lower().replace("_", "-"))
        for line in metadata.requires(one.name) or ():
            needs = Requirement(line)
            extras = one.extras or {""}
            if needs.marker is None or any(needs.marker.evaluate({"extra": extra}) for extra in extras):
                wanted.append(needs)
    return found


@contextmanager
def small_share() -> Iterator[list[str] | None]:
    """The beginning of a command that gives a program a seventh of a processor; None where that is not possible.

    A control group limits the program to so many microseconds in each period of 20 milliseconds. It needs root.
    """
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    modern = unified.exists() and "cpu" in unified.read_text("utf-8").split()
    quota = _PERIOD // SHARE
    try:
        group = Path("/sys/fs/cgroup") / ("" if modern else "cpu") / f"switchboard-bench-{os.getpid()}"
        group.mkdir()
        if modern:
            (group / "cpu.max").write_text(f"{quota} {_PERIOD}", "utf-8")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD), "utf-8")
            (group / "cpu.cfs_quota_us").write_text(str(quota), "utf-8")
    except OSError:
        yield None
        return
    try:
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    finally:
        with suppress(OSError):
            group.rmdir()
