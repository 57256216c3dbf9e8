"""One module's mutants, made and tested by cosmic-ray in a copy of the project."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "bench-results", "*.db*")
UNTYPED = "core/ReplaceBinaryOperator_BitOr_.*"  # nearly all are `X | None` in annotations, which nothing runs
SECONDS = 600  # for the tests on one mutant, each of which has a time-out of its own


@dataclass(frozen=True)
class Mutant:
    """One change of a module, and whether a test failed."""

    module: Path
    line: int
    operator: str
    noticed: bool
    diff: str


def config(module: Path, tests: Iterable[str]) -> str:
    """cosmic-ray's configuration."""
    command = shlex.join([sys.executable, "-m", "pytest", "-x", "-p", "no:xdist", *tests])
    settings = {
        "module-path": module.as_posix(),
        "timeout": SECONDS,
        "excluded-modules": [],
        "test-command": command,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    return "\n".join(
        [
            "[cosmic-ray]",
            *lines,
            '[cosmic-ray.distributor]\nname = "local"',
            f"[cosmic-ray.filters.operators-filter]\nexclude-operators = [{json.dumps(UNTYPED)}]",
        ]
    )


def run(root: Path, folder: Path, module: Path, tests: Iterable[str]) -> list[Mutant]:
    """Test every mutant of a module in a copy of the project, made in this folder; raises when the tests fail as is."""
    copy = Path(shutil.copytree(root, folder / "project", ignore=NOT_COPIED))
    (copy / ".venv").symlink_to(BIN.parent)
    (folder / "config.toml").write_text(config(module, tests))
    session, settings = str(folder / "session.sqlite"), str(folder / "config.toml")
    _call(copy, "cosmic-ray", "baseline", settings)
    _call(copy, "cosmic-ray", "init", settings, session)
    _call(copy, "cr-filter-operators", session, settings)
    _call(copy, "cosmic-ray", "exec", settings, session)
    return _mutants(module, _call(copy, "cosmic-ray", "dump", session))


def _call(copy: Path, program: str, *arguments: str) -> str:
    done = subprocess.run([BIN / program, *arguments], cwd=copy, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{program} {arguments[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _mutants(module: Path, dump: str) -> list[Mutant]:
    """What cosmic-ray's dump tells: one line of JSON for each mutant, with its result where it has one."""
    pairs = [json.loads(line) for line in dump.splitlines()]
    tested = [(item, result) for item, result in pairs if result and result["worker_outcome"] != "skipped"]
    return [
        Mutant(
            module,
            item["mutations"][0]["start_pos"][0],
            item["mutations"][0]["operator_name"].removeprefix("core/"),
            result["test_outcome"] != "survived",
            result["diff"] or "",
        )
        for item, result in tested
    ]
