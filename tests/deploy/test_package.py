"""The zip that `make package` builds: what is in it, and that it serves under Amazon's runtime client."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from emulator.manifest.model import Manifest
from tests.conftest import session_body
from tests.deploy.conftest import COMPILED, LITTER, OWN, PYTHON, ROOT, Package, Resources, make_package, of_type
from tests.emulator.harness import running

pytestmark = pytest.mark.timeout(1200)  # the first test installs the packager

SIZE_LIMIT = 14_500_000
"""Bytes of the zip: a cold start begins with fetching it. 2,150,000 of them are bytecode."""

UNZIPPED_LIMIT = 50_000_000
DISTRIBUTIONS = (
    "apsw",
    "cffi",
    "cryptography",
    "msgspec",
    "peewee",
    "psycopg",
    "psycopg-binary",
    "pycparser",
    "PyJWT",
    "typing_extensions",
)
UNWANTED_ENDS = (".pyi", ".pyc", ".dist-info")
UNWANTED_NAMES = {"__pycache__", "tests", "bin", "emulator", "serverless.yml", *LITTER}


NOWHERE = "http://127.0.0.1:9"


def test_it_says_where_the_zip_is_and_how_large(package: Package) -> None:
    kilobytes = package.zip.stat().st_size // 1024
    assert package.output.splitlines()[-1] == f".serverless/switchboard-sessions.zip: {kilobytes} KiB"


def test_without_npm_it_says_what_is_missing(tmp_path: Path) -> None:
    files = ("Makefile", "package.json", "package-lock.json", "serverless.yml", "functions/requirements.txt")
    (tmp_path / "functions").mkdir()
    for name in files:
        shutil.copy(ROOT / name, tmp_path / name)
    command = [str(shutil.which("make")), "package", f"BIN={Path(sys.executable).parent}"]
    made = subprocess.run(command, cwd=tmp_path, env={"PATH": ""}, capture_output=True, text=True)
    assert made.returncode != 0
    assert made.stdout == "Node.js with npm is needed to package: on Debian, apt-get install nodejs npm\n"
    assert not (tmp_path / "node_modules").exists()


def test_all_of_functions_and_shared_is_in_the_zip(package: Package) -> None:
    ours = {name for name in package.files if name.startswith(("functions/", "shared/"))}
    written = {
        path.relative_to(package.project).as_posix()
        for top in ("functions", "shared")
        for path in (package.project / top).rglob("*")
        if path.is_file()
    }
    assert ours == written - {*LITTER, "functions/requirements.txt"}
    assert {"shared/migrations/sqlite/0001_initial.py", "shared/migrations/postgresql/0001_initial.py"} <= ours


def test_the_rest_of_the_zip_are_the_requirements(package: Package) -> None:
    theirs = {name for name in package.files if not name.startswith(("functions/", "shared/"))}
    installed = {str(path) for name in DISTRIBUTIONS for path in metadata.files(name) or ()}
    assert {name.replace(COMPILED, OWN) for name in theirs} - installed == set()
    top = {f"_cffi_backend{COMPILED}", "peewee.py", "typing_extensions.py"}
    assert {name for name in theirs if "/" not in name} == top


def test_nothing_unwanted_is_in_the_zip(package: Package) -> None:
    parts = {part for name in package.files for part in (name, *name.split("/"))}
    assert {part for part in parts if part.endswith(UNWANTED_ENDS)} | (parts & UNWANTED_NAMES) == set()


def test_libraries_are_those_of_the_runtime(package: Package, manifest: Manifest) -> None:
    libraries = {name for name in package.names if ".so" in name}
    modules = {name for name in libraries if not name.startswith("psycopg_binary.libs/")}  # libpq and what it needs
    assert {name for name in modules if not name.endswith((COMPILED, ".abi3.so"))} == set()
    packages = {"apsw", "cryptography", "msgspec", "psycopg_binary", f"_cffi_backend{COMPILED}"}
    assert {name.split("/")[0] for name in modules} == packages
    assert {function.runtime for function in manifest.functions.values()} == {f"python{PYTHON}"}


def test_the_zip_is_small(package: Package) -> None:
    with zipfile.ZipFile(package.zip) as archive:
        unzipped = sum(entry.file_size for entry in archive.infolist())
    assert (package.zip.stat().st_size < SIZE_LIMIT, unzipped < UNZIPPED_LIMIT) == (True, True)


def test_everybody_may_read_every_file(package: Package) -> None:
    with zipfile.ZipFile(package.zip) as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert [name for name, mode in modes.items() if mode & 0o444 != 0o444] == []


def test_every_handler_is_in_the_zip(resources: Resources, unzipped: Path, python: Path) -> None:
    handlers = [entry["Handler"] for entry in of_type(resources, "AWS::Lambda::Function").values()]
    lines = [f"from {module} import {name}" for module, _, name in (text.rpartition(".") for text in handlers)]
    subprocess.run([python, "-c", "\n".join(lines)], cwd=unzipped, check=True)
    assert len(lines) == 16


def test_the_zip_serves_under_the_runtime_client(
    package: Package, unzipped: Path, python: Path, database: Path
) -> None:
    shutil.copy(package.project / "serverless.yml", unzipped)
    environ = {"SWITCHBOARD_DATABASE_URL": f"sqlite:///{database}"}
    with running(unzipped, "--runtime", "ric", "--python", str(python), env=environ) as served:
        session = served.post("/api/sessions", session_body()).json["session"]
        validate = f"/api/sessions/{session['id']}/validate?role=student&user_id="
        answers = {user: served.get(validate + user) for user in (*session["student_ids"], "eve")}
    assert {user: answer.status for user, answer in answers.items()} == {"ann": 200, "bob": 200, "eve": 403}
    assert answers["ann"].json["valid"] is True


def test_packaging_again_needs_no_network_and_changes_no_byte(package: Package) -> None:
    before = hashlib.sha256(package.zip.read_bytes()).hexdigest()
    make_package(package.project, HTTP_PROXY=NOWHERE, HTTPS_PROXY=NOWHERE, https_proxy=NOWHERE, http_proxy=NOWHERE)
    assert hashlib.sha256(package.zip.read_bytes()).hexdigest() == before
