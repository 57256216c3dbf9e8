"""The subcommands, as a person or a script uses them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulator import test_schedules
from tests.emulator.harness import ROOT, TIMEOUT, Emulator, running, service, write_service
from tests.emulator.test_command_line import run


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(service(tmp_path_factory.mktemp("commands") / "service") / "serverless.yml")


@pytest.mark.parametrize("runtime", ["workers", "inline", "ric"])
def test_invoke_answers_on_stdout_and_logs_on_stderr(manifest: str, runtime: str) -> None:
    told = run("invoke", "echo", "--data", '{"a": 1}', "--manifest", manifest, "--runtime", runtime)
    assert told.returncode == 0
    assert json.loads(json.loads(told.stdout)["body"]) == {"a": 1}
    lines = told.stderr.splitlines()
    assert lines[0].startswith("START RequestId: ")
    assert lines[-1].startswith("REPORT RequestId: ")


def test_invoke_takes_its_event_from_a_file_or_from_standard_input(manifest: str, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text('["file"]')
    told = run("invoke", "echo", "--event", str(tmp_path / "event.json"), "--manifest", manifest)
    assert json.loads(json.loads(told.stdout)["body"]) == ["file"]
    command = [sys.executable, "-m", "emulator", "invoke", "echo", "--event", "-", "--manifest", manifest]
    piped = subprocess.run(command, cwd=ROOT, input='["in"]', capture_output=True, text=True, check=True)
    assert json.loads(json.loads(piped.stdout)["body"]) == ["in"]


def test_invoke_says_by_its_exit_code_that_the_function_failed(manifest: str) -> None:
    told = run("invoke", "raises", "--manifest", manifest)
    assert told.returncode == 1
    assert json.loads(told.stdout)["errorMessage"] == "no such pupil"
    assert "  about to fail\n  [ERROR] LookupError" in told.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], "there is no function 'nobody'"),
        (["echo", "--data", "{"], "the event is not JSON"),
        (["echo", "--event", "missing.json"], "missing.json: No such file"),
        (["echo", "--event", "a", "--data", "{}"], "two events"),
    ],
)
def test_invoke_refuses_in_one_line(manifest: str, arguments: list[str], message: str) -> None:
    told = run("invoke", *arguments, "--manifest", manifest)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("error: ")
    assert message in told.stderr
    assert told.stderr.count("\n") == 1


def test_routes(manifest: str) -> None:
    lines = run("routes", "--manifest", manifest).stdout.splitlines()
    assert "GET   /context                 context           3 s" in [line.rstrip() for line in lines]
    assert len(lines) == 26


def test_openapi(manifest: str) -> None:
    document = json.loads(run("openapi", "--manifest", manifest).stdout)
    assert document["openapi"] == "3.1.0"
    operation = document["paths"]["/echo/{id}/parts/{part}"]["post"]
    assert operation["operationId"] == "echo"
    assert [parameter["name"] for parameter in operation["parameters"]] == ["id", "part"]
    assert set(document["paths"]["/any"]) == {"get", "post", "put", "patch", "options", "head", "delete"}


def test_logs_of_a_running_emulator(emulator: Emulator) -> None:
    emulator.get("/raises")
    told = run("logs", "--port", str(emulator.port), "--function", "raises")
    assert "  about to fail\n  [ERROR] LookupError: no such pupil\n" in told.stdout
    assert "Version: $LATEST" in told.stdout
    unknown = run("logs", "--port", str(emulator.port), "--function", "nobody")
    assert (unknown.returncode, unknown.stderr) == (1, "error: there is no function 'nobody'\n")


def test_logs_can_be_followed(emulator: Emulator) -> None:
    emulator.get("/none")
    logs = ["logs", "--port", str(emulator.port), "--function", "none"]
    before = run(*logs).stdout.splitlines(keepends=True)
    command = [sys.executable, "-m", "emulator", *logs, "--follow"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as following:
        try:
            assert following.stdout
            assert [following.stdout.readline() for _ in before] == before
            emulator.get("/none")
            assert following.stdout.readline().startswith("START RequestId: ")
            following.send_signal(signal.SIGINT)
            assert following.wait(TIMEOUT) == 0
        finally:
            following.kill()


def test_schedules_of_a_running_emulator(tmp_path: Path) -> None:
    early = "{method: scheduler, name: early, rate: cron(0 9 * * ? *), timezone: America/New_York}"
    manifest = f"{test_schedules.MANIFEST}      - schedule: {early}\n"
    with running(write_service(tmp_path / "service", manifest, app=test_schedules.APP)) as started:
        port = str(started.port)
        assert "mornings  cron(0 8 ? * MON-FRI *)  tick  (disabled)\n" in run("schedules", "--port", port).stdout
        assert "early  cron(0 9 * * ? *) America/New_York  tick\n" in run("schedules", "--port", port).stdout
        assert run("schedules", "--run", "mornings", "--port", port).stdout == '{"given": 1}\n'
        refused = run("schedules", "--run", "none", "--port", port)
        assert (refused.returncode, refused.stderr) == (1, "error: no such schedule\n")


def test_an_emulator_without_identity_has_no_tokens(tmp_path: Path) -> None:
    with running(write_service(tmp_path / "service", test_schedules.MANIFEST, app=test_schedules.APP)) as started:
        refused = run("token", "ann", "--port", str(started.port))
    told = "error: the emulator is no identity provider: start it with --identity\n"
    assert (refused.returncode, refused.stderr) == (1, told)


def test_no_emulator_there() -> None:
    told = run("logs", "--port", "1")
    assert (told.returncode, told.stderr) == (1, "error: no emulator answers on port 1: --port names another\n")
