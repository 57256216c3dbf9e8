"""`make package`, once, in a copy of the project."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

import pytest

from emulator.manifest.loader import load
from emulator.manifest.model import Manifest

Resources = dict[str, dict[str, Any]]

ROOT = Path(__file__).parents[2]
COPY = ROOT / ".venv" / "package"
"""Where the copy stands. It stays, because its node_modules take a while to install."""

NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "bench-results", "*.db*")
LITTER = ("functions/__pycache__/end.cpython-313.pyc", "shared/migrations/notes.pyc", "functions/.env", "classroom.db")
"""Files that a real checkout may have, and that nobody wants deployed."""

PYTHON = f"3.{sys.version_info.minor}" if (3, 12) <= sys.version_info < (3, 15) else "3.13"
"""The Python version that is packaged for: see `RUNTIME` in the Makefile."""

TAG = f"cpython-{PYTHON.replace('.', '')}"
COMPILED = f".{TAG}-x86_64-linux-gnu.so"
OWN = str(sysconfig.get_config_var("EXT_SUFFIX"))
"""How compiled libraries end: those for Lambda, those of this interpreter."""

RUNTIME_CLIENT = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")

NOT_PASSED = ("AWS_", "SWITCHBOARD_", "MAKE", "MFLAGS")
NO_ACCOUNT = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Package:
    """What `make package` has made, and what it said."""

    project: Path
    """The copy of the project, litter included."""
    output: str
    zip: Path
    templates: tuple[Path, ...]
    """CloudFormation: what creates the stack, then the whole of it."""

    @property
    def names(self) -> set[str]:
        """The files in the zip."""
        with zipfile.ZipFile(self.zip) as archive:
            return {entry.filename for entry in archive.infolist() if not entry.is_dir()}

    @property
    def files(self) -> set[str]:
        """The files in the zip except for bytecode."""
        return self.names - set(map(bytecode_of, self.names))


def bytecode_of(module: str) -> str:
    """The name in the zip of a module's bytecode."""
    path = PurePosixPath(module)
    return str(path.parent / "__pycache__" / f"{path.stem}.{TAG}.pyc")


def make_package(folder: Path, **environ: str) -> str:
    """Run `make package` there, with no account and a private umask; what it said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED)}
    made = subprocess.run(
        ["make", "package", f"BIN={Path(sys.executable).parent}"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**kept, **NO_ACCOUNT, **environ},
        umask=0o077,
    )
    assert made.returncode == 0, made.stdout
    return made.stdout


def _fresh(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "node_modules":
            shutil.rmtree(entry)
        elif not entry.is_dir():
            entry.unlink()
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED, dirs_exist_ok=True)
    for name in LITTER:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


@pytest.fixture
def manifest(package: Package, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """serverless.yml as the emulator understands it, with the stage and the environment of the package."""
    monkeypatch.delenv("SWITCHBOARD_DATABASE_URL")
    return load(package.project / "serverless.yml", {"stage": "dev"}, {"python": PYTHON})


@pytest.fixture(scope="package")
def resources(package: Package) -> Resources:
    """What CloudFormation is to make, by logical names."""
    return cast(Resources, json.loads(package.templates[-1].read_text())["Resources"])


def of_type(resources: Resources, kind: str) -> Resources:
    """The properties of all resources of a type, by their logical names."""
    return {name: entry["Properties"] for name, entry in resources.items() if entry["Type"] == kind}


def of_http_api(resources: Resources, kind: str) -> Resources:
    """The same, of the HTTP API alone: not those of the WebSocket API."""
    found = of_type(resources, kind).items()
    return {name: entry for name, entry in found if entry.get("ApiId", {"Ref": name}) == {"Ref": "HttpApi"}}


@pytest.fixture(scope="package")
def package() -> Iterator[Package]:
    """The package of the project as it is; nobody else packages here meanwhile."""
    if shutil.which("npm") is None:
        pytest.skip("npm is missing: on Debian, apt-get install nodejs npm")
    COPY.mkdir(parents=True, exist_ok=True)
    with COPY.with_name("package.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _fresh(COPY)
        output = make_package(COPY)
        made = COPY / ".serverless"
        templates = tuple(made / f"cloudformation-template-{kind}-stack.json" for kind in ("create", "update"))
        yield Package(COPY, output, made / "switchboard-sessions.zip", templates)


@pytest.fixture(scope="package")
def unzipped(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unzipped package, able to run on this interpreter.

    The zip holds libraries compiled for Lambda's Python. Where the tests run on another, that one's own libraries of
    the same packages are laid beside them; all that is Python comes from the zip in any case.
    """
    folder = tmp_path_factory.mktemp("unzipped") / "task"
    with zipfile.ZipFile(package.zip) as archive:
        archive.extractall(folder)
    for library in folder.rglob(f"*{COMPILED}"):
        own = library.with_name(library.name.replace(COMPILED, OWN))
        if not own.exists():
            shutil.copy(Path(sysconfig.get_path("platlib")) / own.relative_to(folder), own)
    return folder


@pytest.fixture(scope="session")
def runtime_python() -> str:
    """The Python that made the bytecode: with it, the libraries in the zip run too."""
    pyenv = {**os.environ, "PYENV_VERSION": PYTHON}
    show = "import sys; print(sys.executable, sys.implementation.cache_tag)"
    for name in (sys.executable, f"python{PYTHON}"):
        if shutil.which(name):
            shown = subprocess.run([name, "-c", show], env=pyenv, capture_output=True, text=True).stdout
            path, _, tag = shown.partition(" ")
            if tag.strip() == TAG:
                return path
    pytest.skip(f"Python {PYTHON} is missing: the zip has no bytecode")


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This interpreter without its installed packages, except for Amazon's runtime client."""
    folder = tmp_path_factory.mktemp("python")
    for name in RUNTIME_CLIENT:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
        (folder / source.name).symlink_to(source)
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(folder))} exec {shlex.quote(sys.executable)} -S "$@"\n')
    script.chmod(0o755)
    return script
