"""Snapshots of databases that are in use: SQLite and PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.harness import Emulator, running, write_service
from tests.emulator.test_command_line import run
from tests.postgres.server import programs
from tests.storage import Storage

MANIFEST = """
service: kept
provider: {name: aws, runtime: python3.13, environment: {ROOMS: "sqlite:///rooms.db"}}
functions:
  add: {handler: app.add, events: [{httpApi: POST /rooms}]}
  count: {handler: app.count, events: [{httpApi: GET /rooms}]}
"""
APP = """
import sqlite3

database = sqlite3.connect("rooms.db", isolation_level=None)
database.execute("PRAGMA journal_mode = WAL")
database.execute("CREATE TABLE IF NOT EXISTS rooms (name TEXT)")
cached = None

def add(event, context):
    database.execute("INSERT INTO rooms VALUES ('a')")

def count(event, context):
    global cached
    cached = cached or database.execute("SELECT count(*) FROM rooms").fetchone()[0]
    return str(cached)
"""


@pytest.fixture
def served(folder: Path) -> Iterator[Emulator]:
    with running(write_service(folder, MANIFEST, app=APP)) as started:
        yield started


def snapshot(emulator: Emulator, *words: str) -> tuple[int, str]:
    """The exit code, and what was said."""
    told = run("snapshot", *words, "--port", str(emulator.port))
    return told.returncode, told.stdout + told.stderr


def test_a_snapshot_puts_the_database_back_while_the_emulator_serves(served: Emulator) -> None:
    served.post("/rooms", {})
    assert snapshot(served, "save", "one-room")[0] == 0
    served.post("/rooms", {})
    assert served.get("/rooms").body == b"2"
    assert snapshot(served, "load", "one-room")[0] == 0
    assert served.get("/rooms").body == b"1"  # and functions have forgotten what they had cached
    served.post("/rooms", {})
    assert snapshot(served)[1].startswith("one-room  20")
    assert "ROOMS (sqlite)" in snapshot(served, "list")[1]


def test_a_snapshot_is_not_replaced_unless_told_so(served: Emulator) -> None:
    served.get("/rooms")
    assert snapshot(served, "save", "empty")[0] == 0
    served.post("/rooms", {})
    code, said = snapshot(served, "save", "empty")
    assert (code, "there is a snapshot empty already" in said) == (1, True)
    assert snapshot(served, "save", "empty", "--replace")[0] == 0
    snapshot(served, "load", "empty")
    assert served.get("/rooms").body == b"1"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("load", "nothing"), "there is no snapshot nothing"),
        (("save", "../up"), "a snapshot's name has"),
        (("save", ".hidden"), "a snapshot's name has"),
        (("save", "early"), "ROOMS: "),
        (("save",), "save needs a name"),
        (("list", "one"), "list takes no name"),
        (("load", "one", "--replace"), "--replace has no effect"),
    ],
)
def test_what_cannot_be_done_says_why(served: Emulator, words: tuple[str, ...], reason: str) -> None:
    code, said = snapshot(served, *words)
    assert (code, reason in said) == (1, True), said
    assert not any((served.folder / ".emulator-snapshots").glob("*"))


def test_a_project_without_a_database_says_so(folder: Path) -> None:
    manifest = MANIFEST.replace("sqlite:///rooms.db", "none")
    with running(write_service(folder, manifest, app=APP), "--inline") as emulator:
        assert "no variable of the functions names a database" in snapshot(emulator, "save", "one")[1]


ON_POSTGRESQL = """
import os, psycopg

database = psycopg.connect(os.environ["ROOMS"], autocommit=True)
database.execute("CREATE TABLE IF NOT EXISTS rooms (name TEXT)")

def add(event, context):
    database.execute("INSERT INTO rooms VALUES ('a')")

def count(event, context):
    return str(database.execute("SELECT count(*) FROM rooms").fetchone()[0])
"""


def test_a_postgresql_database_is_put_back_while_functions_are_connected(folder: Path, postgres: Storage) -> None:
    manifest = MANIFEST.replace("sqlite:///rooms.db", "${env:ROOMS}")
    environ = {"ROOMS": postgres.url, "PATH": f"{programs() / 'bin'}:{os.environ['PATH']}"}
    with running(write_service(folder, manifest, app=ON_POSTGRESQL), env=environ) as emulator:
        emulator.post("/rooms", {})
        assert snapshot(emulator, "save", "one-room") == (0, snapshot(emulator, "list")[1])
        emulator.post("/rooms", {})
        assert snapshot(emulator, "load", "one-room")[0] == 0
        assert emulator.get("/rooms").body == b"1"
        without = {**environ, "PATH": str(folder)}
    with running(folder, env=without) as emulator:
        assert "pg_dump is not installed" in snapshot(emulator, "save", "two")[1]
