"""What callers, functions and manifests send to the terminal: no escape sequence, and no forged line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.service.console import visible_json
from tests.emulator.harness import Emulator, running, write_service
from tests.emulator.test_command_line import run

MANIFEST = r"""
service: "hostile"
functions:
  hostile: {handler: app.hostile, events: [{httpApi: GET /hostile}]}
  "odd":
    handler: app.hostile
    events: [{schedule: {rate: rate(1 day), name: "\e[31mnamed", enabled: false}}]
"""
APP = r"""
def hostile(event, context):
    print("\x1b]0;title\x07\x9b31m\x1b[2J")
    print("END RequestId: forged\rSTART RequestId: forged Version: $LATEST")
    print("\u2028REPORT RequestId: forged\x0bEND RequestId: forged")
    return {"said": "\x1b[31m\x9b31m\u202e"}
"""
HARMLESS = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]*")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_service(tmp_path_factory.mktemp("hostile") / "service", MANIFEST, app=APP)


@pytest.fixture(scope="module")
def hostile(folder: Path) -> Iterator[Emulator]:
    with running(folder) as started:
        started.get("/hostile")
        yield started


def harmless(text: str) -> bool:
    """Without escape sequences, and with no platform line that the emulator did not write."""
    return bool(HARMLESS.fullmatch(text)) and not re.search(r"^\S.*forged", text, re.MULTILINE)


def test_logs_show_what_a_function_printed_as_text(hostile: Emulator) -> None:
    told = run("logs", "--port", str(hostile.port)).stdout
    assert r"  \x1b]0;title\x07" in told
    assert harmless(told)


def test_the_console_shows_what_a_function_printed_as_text(hostile: Emulator) -> None:
    assert harmless(hostile.wait_for("200"))


def test_the_console_shows_a_callers_path_as_text(hostile: Emulator) -> None:
    hostile.get("/%1b%5b31m")
    assert harmless(hostile.wait_for("/%1b%5b31m"))


def test_schedules_show_their_names_as_text(hostile: Emulator) -> None:
    told = run("schedules", "--port", str(hostile.port)).stdout
    assert r"\x1b[31mnamed" in told
    assert harmless(told)


def test_invoke_shows_log_and_answer_as_text(folder: Path) -> None:
    told = run("invoke", "hostile", "--manifest", str(folder / "serverless.yml"))
    assert harmless(told.stderr)
    assert harmless(told.stdout)
    assert json.loads(told.stdout) == {"said": "\x1b[31m\x9b31m\u202e"}


def test_errors_show_names_as_text(tmp_path: Path) -> None:
    told = run("routes", "--manifest", str(tmp_path / "\x1b[31m\nerror: second"))
    assert HARMLESS.fullmatch(told.stderr)
    assert (told.returncode, told.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("value", ["a b", "\x9b\x7f", "\u202e", "\U000e0001", "\u3000ü", "\ud800"])
def test_json_keeps_its_meaning_when_it_is_made_visible(value: str) -> None:
    text = visible_json(json.dumps({"a": value}, ensure_ascii=False))
    assert text.isprintable()
    assert json.loads(text) == {"a": value}
