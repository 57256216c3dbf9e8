"""What `make` runs, and what it says when the virtual environment cannot be made."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NO_MODULE = "*ensurepip*) exit 1;;"
NO_SPACE = "'-m venv '*) echo 'no space left on device'; exit 1;;"


@pytest.mark.parametrize(
    ("cases", "said", "unsaid"),
    [
        (NO_MODULE, "Python's venv module is missing", "could not be made"),
        (NO_SPACE, "no space left on device\nThe virtual environment .venv could not be made", "module is missing"),
    ],
    ids=["no module", "no space"],
)
def test_make_says_why_there_is_no_virtual_environment(tmp_path: Path, cases: str, said: str, unsaid: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "mine").touch()
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in {cases} esac\n')
    python.chmod(0o755)
    made = subprocess.run(
        ["make", ".venv/bin/python", "PYTHON=./python"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert made.returncode != 0
    assert said in made.stdout
    assert unsaid not in made.stdout
    assert (tmp_path / ".venv" / "mine").exists()


def test_make_keeps_the_virtual_environment_where_it_is_told(tmp_path: Path) -> None:
    """So a checkout that cannot be written can be run."""
    told = subprocess.run(
        ["make", "--dry-run", "run", f"VENV={tmp_path}/venv", "PYTHON=python3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"-m venv {tmp_path}/venv" in told
    assert f'exec "{tmp_path}/venv/bin/python" -m emulator' in told
    assert ".venv" not in told


def test_make_has_a_rule_for_each_of_its_names(tmp_path: Path) -> None:
    (names,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name in names.split():
        subprocess.run(["make", "--dry-run", name, f"VENV={tmp_path}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", ["test", "test-without-linux"])
def test_make_also_runs_the_tests_without_what_only_linux_has(tmp_path: Path, name: str) -> None:
    told = subprocess.run(
        ["make", "--dry-run", name, f"VENV={tmp_path}"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"TESTS_WITHOUT_LINUX=1 .* -m pytest .* tests/api .*tests/emulator/test_workers.py", told)
