"""What counts as a function's source: a change of it is a fresh process at the next request."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.emulator.harness import Emulator, running, write_service

MANIFEST = """
service: reload
provider: {name: aws, environment: {PYTHONPATH: ../common}}
functions:
  page: {handler: app.page, events: [{httpApi: GET /page}]}
  common: {handler: app.common, events: [{httpApi: GET /common}]}
  write: {handler: app.write, events: [{httpApi: GET /write}]}
  read: {handler: app.read, events: [{httpApi: GET /read}]}
  list: {handler: app.list_files, events: [{httpApi: GET /list}]}
"""
APP = """
import functools, os, pathlib
HERE = pathlib.Path(__file__).parent

@functools.cache
def template():
    with open("templates/page.html") as file:
        return file.read()

def page(event, context):
    return template()

def common(event, context):
    import shared_by_many
    return shared_by_many.NAME

def write(event, context):
    (HERE / "notes.txt").write_text(str(os.getpid()))
    return [os.getpid(), (HERE / "notes.txt").read_text()]

def read(event, context):
    return [os.getpid(), (HERE / "notes.txt").read_text()]

def list_files(event, context):
    with os.scandir(os.open(HERE, os.O_RDONLY)) as found:
        return [os.getpid(), len(list(found))]
"""


@pytest.fixture
def reloading(folder: Path) -> Path:
    (folder / "templates").mkdir(parents=True)
    (folder / "templates" / "page.html").write_text("old")
    (folder.parent / "common").mkdir()
    (folder.parent / "common" / "shared_by_many.py").write_text("NAME = 'old'\n")
    return write_service(folder, MANIFEST, app=APP)


def changed(emulator: Emulator, file: Path, text: str, path: str) -> bytes:
    """The answer after a change, when the time has passed in which none is looked for."""
    file.write_text(text)
    time.sleep(0.03)
    return emulator.get(path).body


def test_a_template_that_was_opened_counts(reloading: Path) -> None:
    with running(reloading) as started:
        assert started.get("/page").body == b"old"
        assert changed(started, reloading / "templates" / "page.html", "newer", "/page") == b"newer"
        assert changed(started, reloading / "templates" / "page.html", "newest", "/page") == b"newest"


def test_a_module_outside_of_the_project_counts(reloading: Path) -> None:
    with running(reloading) as started:
        assert started.get("/common").body == b"old"
        file = reloading.parent / "common" / "shared_by_many.py"
        assert changed(started, file, "NAME = 'newer'\n", "/common") == b"newer"


def test_what_functions_write_themselves_does_not_count(reloading: Path) -> None:
    with running(reloading) as started:
        writer = started.get("/write").json[0]
        reader = started.get("/read").json[0]
        (reloading / "other").touch()
        listed = started.get("/list").json[0]
        for _ in range(2):
            time.sleep(0.03)
            assert started.get("/write").json == [writer, str(writer)]
            time.sleep(0.03)
            assert started.get("/read").json == [reader, str(writer)]
        (reloading / "another").touch()
        assert started.get("/list").json[0] == listed
