"""The page about the life of data: its commands print what it says."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from shared import environment
from tests.conftest import Classroom
from tests.migrate.commands import ROOT

PAGE = (ROOT / "docs" / "data.md").read_text("utf-8")


def test_its_commands_print_what_it_says(database: Path, old: Classroom, tmp_path: Path) -> None:
    environment.reset()
    (console,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    commands = [line.removeprefix("$ ") for line in console.splitlines() if line.startswith("$ ")]
    script = "\n".join(commands).replace(".venv/bin/python", shlex.quote(sys.executable))
    script = script.replace("--output ", f"--output {shlex.quote(str(tmp_path))}/")
    ran = subprocess.run(["bash", "-ec", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [line for line in console.splitlines() if not line.startswith("$ ")]
    assert (tmp_path / "old.csv").exists()


def test_every_command_is_on_it() -> None:
    for command in ("export", "purge", "report-user", "erase-user", "stats"):
        assert f"`{command}" in PAGE


def test_the_readme_shows_one_of_them() -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition("\n## The life of data\n")[2].partition("\n## ")[0]
    (console,) = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    assert console in PAGE
