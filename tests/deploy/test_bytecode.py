"""The bytecode in the zip: nothing is compiled at run time, and a zip without it is said to be slow."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from tests.deploy.conftest import ROOT, Package, Resources, bytecode_of, of_type

pytestmark = pytest.mark.timeout(1200)  # the first test installs the packager

MODULE = "functions/hello.py"
THIS = f"python3.{sys.version_info.minor}"
UNCHECKED_HASH = (1).to_bytes(4, "little")

# Python reports each compilation to the hook. A namedtuple compiles texts, whose names are no files.
ANSWER = """
import sys
compiled = []
sys.addaudithook(lambda event, about: compiled.append(about[1]) if event == "compile" else None)
{imports}
import shared.engines.postgresql.engine, shared.writes.postgresql
event = {{"body": '{{"name": "Fractions", "instructor_id": "ms_noether", "student_ids": ["ann"]}}'}}
assert functions.create.handler(event, None)["statusCode"] == 201
print([name for name in compiled if str(name).endswith(".py")])
"""

PLUGIN = """
const [plugin, artifact, runtime] = process.argv.slice(1);
const serverless = { serviceDir: '/', service: { package: { artifact }, functions: { f: {} }, provider: { runtime } } };
const { hooks } = new (require(plugin))(serverless, {}, { log: { warning: console.log } });
hooks['after:package:createDeploymentArtifacts']();
"""


def add_bytecode(artifact: Path, runtime: str, path: str) -> str:
    """Run the plugin alone, with programs of this path; what it warned of."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is missing: on Debian, apt-get install nodejs")
    command = [node, "-e", PLUGIN, str(ROOT / "deploy/bytecode.js"), str(artifact), runtime]
    return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A zip with one module."""
    path = tmp_path / "small.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MODULE, "def hello(): return 1\n")
    return path


def test_every_module_has_its_bytecode(package: Package, runtime_python: str) -> None:
    assert {bytecode_of(name) for name in package.files if name.endswith(".py")} == package.names - package.files
    with zipfile.ZipFile(package.zip) as archive:
        flags = {archive.read(name)[4:8] for name in package.names - package.files}
    assert flags == {UNCHECKED_HASH}


def test_nothing_is_compiled_or_written_at_run_time(
    resources: Resources, package: Package, runtime_python: str, database: Path, tmp_path: Path
) -> None:
    task = tmp_path / "task"
    with zipfile.ZipFile(package.zip) as archive:
        archive.extractall(task)
    for path in (task, *task.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    handlers = [entry["Handler"] for entry in of_type(resources, "AWS::Lambda::Function").values()]
    program = ANSWER.format(imports="\n".join(f"import {name.rpartition('.')[0]}" for name in handlers))
    environ = {"SWITCHBOARD_DATABASE_URL": f"sqlite:///{database}", "PYTHONPATH": str(task)}
    run = subprocess.run([runtime_python, "-S", "-c", program], env=environ, capture_output=True, text=True, cwd="/")
    assert (run.stdout, run.stderr) == ("[]\n", "")
    assert {path.relative_to(task).as_posix() for path in task.rglob("*") if path.is_file()} == package.names


def test_the_python_of_the_runtime_makes_the_bytecode(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / THIS).symlink_to(sys.executable)
    assert add_bytecode(artifact, THIS, str(tmp_path)) == ""
    with zipfile.ZipFile(artifact) as archive:
        (name,) = set(archive.namelist()) - {MODULE}
        assert name == f"functions/__pycache__/hello.{sys.implementation.cache_tag}.pyc"
        assert archive.read(name)[:4] == MAGIC_NUMBER


def test_another_python_makes_none_and_the_cost_is_said(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "python3").symlink_to(sys.executable)
    before = artifact.read_bytes()
    (said,) = add_bytecode(artifact, "python3.99", str(tmp_path)).splitlines()
    assert said.startswith("No python3.99 is on the PATH: the zip has no bytecode, and a cold start takes two to three")
    assert artifact.read_bytes() == before


def test_a_module_that_cannot_be_compiled_fails_the_package(artifact: Path) -> None:
    with zipfile.ZipFile(artifact, "a") as archive:
        archive.writestr("functions/broken.py", "def")
    command = [sys.executable, str(ROOT / "deploy/bytecode.py"), str(artifact)]
    assert subprocess.run(command, capture_output=True).returncode == 1
