"""The README keeps its word: its commands, typed as printed, print what it prints."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT
from tests.emulator.test_identity import running_with_identity

README = (ROOT / "README.md").read_text("utf-8")
CHANGING = re.compile(r"u-[\w-]{43}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def blocks(heading: str, language: str) -> list[str]:
    """The code blocks of a section."""
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def masked(text: str) -> str:
    """Without identifiers and times."""
    return CHANGING.sub("…", text)


def test_the_classroom(port: int) -> None:
    console = "".join(blocks("A classroom from beginning to end", "console"))
    commands = [line.removeprefix("$ ") for line in console.splitlines() if line.startswith("$ ")]
    printed = [line for line in console.splitlines() if not line.startswith("$ ")]
    script = "\n".join(commands).replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert masked(ran.stdout).splitlines() == [masked(line) for line in printed]


def test_a_class_over_websocket(port: int) -> None:
    (console,) = blocks("A class over WebSocket", "console")
    command, _, printed = console.partition("\n")
    assert command == "$ .venv/bin/python examples/live.py"
    example = [sys.executable, "-W", "error", "examples/live.py", f"http://127.0.0.1:{port}"]
    ran = subprocess.run(example, cwd=ROOT, capture_output=True, text=True, check=True)
    assert masked(ran.stdout) == masked(printed)


def test_who_calls(tmp_path: Path) -> None:
    with running_with_identity(tmp_path) as emulator:
        console = "".join(blocks("Who calls", "console"))
        commands = [line.removeprefix("$ ") for line in console.splitlines() if line.startswith("$ ")]
        printed = [line for line in console.splitlines() if not line.startswith("$ ")]
        script = "\n".join(commands).replace(".venv/bin/python", shlex.quote(sys.executable))
        script = script.replace("emulator token", f"emulator token --port {emulator.port}")
        script = script.replace("127.0.0.1:8080", f"127.0.0.1:{emulator.port}")
        ran = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    output = ran.stdout.replace(f"127.0.0.1:{emulator.port}", "127.0.0.1:8080")
    assert masked(output).splitlines() == [masked(line) for line in printed]


@pytest.mark.parametrize("heading", ["A lesson of 45 minutes in five seconds", "Faults on purpose"])
def test_the_clock_and_the_faults(port: int, heading: str) -> None:
    console = "".join(blocks(heading, "console"))
    commands = [line.removeprefix("$ ") for line in console.splitlines() if line.startswith("$ ")]
    script = "\n".join(commands).replace(".venv/bin/python", shlex.quote(sys.executable))
    script = re.sub("emulator (clock|faults)", rf"emulator \1 --port {port}", script).replace(":8080", f":{port}")
    ran = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    shown = [re.sub(r"\S+ ahead$", "… ahead", line).rstrip() for line in ran.stdout.splitlines()]
    printed = [line for line in console.splitlines() if not line.startswith("$ ")]
    assert shown == [re.sub(r"\S+ ahead$", "… ahead", line) for line in printed], ran.stderr


def test_the_emulators_commands() -> None:
    for console in blocks("The emulator", "console"):
        command, _, printed = console.partition("\n")
        shell = command.removeprefix("$ ").replace(".venv/bin/python", shlex.quote(sys.executable))
        ran = subprocess.run(["bash", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=True)
        assert ran.stdout == printed


def test_the_lambda_api_answers_boto3_without_keys_of_aws(port: int, tmp_path: Path) -> None:
    (example,) = blocks("The emulator", "python")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-c", example.replace(":8080", f":{port}")]
    ran = subprocess.run(command, env=environ | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert '"statusCode": 200' in ran.stdout


def test_one_function_from_python() -> None:
    (example,) = blocks("One function, from Python", "python")
    subprocess.run([sys.executable, "-c", example], cwd=ROOT, check=True)


def test_the_time_frozen_test(tmp_path: Path) -> None:
    (example,) = blocks("A time-frozen test", "python")
    test = tmp_path / "test_example.py"
    test.write_text(example)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--rootdir", str(ROOT), str(test)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_every_setting_is_in_the_table() -> None:
    from shared.config import Settings, variable

    rows = re.findall(r"^\| `(SWITCHBOARD_\w+)` \|(.*?)\|", README, re.MULTILINE)
    plain = re.compile(r" `([^`]*)` ")  # other defaults are in words
    table = {name: found[1] if (found := plain.fullmatch(cell)) else "" for name, cell in rows}
    assert table.keys() == {variable(name) for name in Settings.__struct_fields__}
    assert Settings.from_environment(table) == Settings()


def test_every_error_code_is_in_the_table() -> None:
    from shared import errors

    def codes(kind: type[errors.SwitchboardError]) -> set[str]:
        return {kind.code}.union(*(codes(one) for one in kind.__subclasses__()))

    bases = {errors.InvalidSessionDataError.code}
    section = README.partition("\n## Errors\n")[2].partition("\n## ")[0]
    assert codes(errors.SwitchboardError) - bases <= set(re.findall(r"`(\w+)`", section))
