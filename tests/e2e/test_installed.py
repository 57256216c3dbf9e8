"""The emulator as pip installs it: alone, for the functions of any project."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import urllib.request
from importlib import metadata
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT
from tests.e2e.test_readme import blocks
from tests.emulator.harness import write_service

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MANIFEST = "service: s\nprovider: {name: aws}\nfunctions:\n  one: {handler: app.one, events: [{httpApi: GET /one}]}\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the project was installed into, without its dependencies, which the tests have."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("emulator", "functions", "shared"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(site), str(source)], check=True)
    return site


def test_the_emulator_alone_is_installed(site: Path) -> None:
    about = f"switchboard_emulator-{PROJECT['version']}.dist-info"
    assert {path.name for path in site.iterdir()} == {"emulator", "bin", about}
    assert _files(site) == _files(ROOT)


def _files(folder: Path) -> set[Path]:
    """The files of the emulator, those of its page among them."""
    found = (path for path in (folder / "emulator").rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder) for path in found}


def test_its_command_runs_a_function_of_another_project(site: Path, tmp_path: Path) -> None:
    (tmp_path / "serverless.yml").write_text(MANIFEST)
    (tmp_path / "app.py").write_text("def one(event, context):\n    return event['a']\n")
    command = [sys.executable, str(site / "bin" / "switchboard-emulator"), "invoke", "one", "--data", '{"a": 7}']
    ran = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "7\n"), ran.stderr
    assert "START RequestId" in ran.stderr


def test_the_readmes_other_project(site: Path, tmp_path: Path) -> None:
    heading = "The emulator for another project"
    (tmp_path / "serverless.yml").write_text(*blocks(heading, "yaml"))
    (tmp_path / "app.py").write_text(*blocks(heading, "python"))
    _, console = blocks(heading, "console")
    lines = console.splitlines()
    script = "\n".join(line.removeprefix("$ ") for line in lines if line.startswith("$ "))
    program = f"{shlex.quote(sys.executable)} {shlex.quote(str(site / 'bin' / 'switchboard-emulator'))}"
    command = ["bash", "-c", script.replace("switchboard-emulator", program)]
    ran = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == [line for line in lines if not line.startswith("$ ")]


def test_a_wheel_serves_another_project(site: Path, tmp_path: Path) -> None:
    folder = write_service(tmp_path, MANIFEST, app="def one(event, context):\n    return 'served'\n")
    command = [sys.executable, str(site / "bin" / "switchboard-emulator"), "--port", "0"]
    with subprocess.Popen(
        command, cwd=folder, env={"PYTHONPATH": str(site), "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        try:
            url = next(found[0] for line in server.stdout if (found := re.search(r"http://[\d.:]+", line)))
            with urllib.request.urlopen(f"{url}/one", timeout=60) as answer:
                assert answer.read() == b"served"
        finally:
            server.terminate()
    assert server.returncode == 0


def test_it_depends_on_what_it_imports() -> None:
    of_the_project = {*(ROOT / "emulator/runtime/wsgi").iterdir(), ROOT / "emulator/runtime/travelling_client.py"}
    files = set((ROOT / "emulator").rglob("*.py")) - of_the_project
    trees = [ast.parse(path.read_text()) for path in files]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    foreign = {name.split(".")[0] for name in names} - {*sys.stdlib_module_names, "emulator"}
    distributions = metadata.packages_distributions()
    needed = {distributions[name][0].lower() for name in foreign}
    named = {re.split(r"[^\w-]", requirement)[0].lower() for requirement in PROJECT["dependencies"]}
    assert needed <= named
    # uvicorn and zoneinfo take them when they are there; the last is imported by its name when a clock is moved.
    assert named - needed == {"uvloop", "tzdata", "time-machine"}


def test_the_changelog_has_the_version() -> None:
    assert f"\n## [{PROJECT['version']}] - " in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert sysconfig.get_python_version() >= PROJECT["requires-python"].removeprefix(">=")
