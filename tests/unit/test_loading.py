"""What loading a function does: it imports for its database, connects if it is told to, and survives a snapshot."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared import identifiers
from tests.conftest import NOBODYS_ID

ROOT = Path(__file__).parents[2]
NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"
LOAD = "import json, os, sys; from functions.validate import handler"
ANSWER = f"""
query = {{"user_id": "ann", "role": "student"}}
answer = handler({{"pathParameters": {{"session_id": "{NOBODYS_ID}"}}, "queryStringParameters": query}}, None)
print(answer["statusCode"], json.loads(answer["body"])["code"], flush=True)
"""
# Amazon's runtime client does this around a snapshot.
SNAPSHOT = """
import apsw
from awslambdaric.lambda_runtime_hooks_runner import run_after_restore, run_before_snapshot
from shared import identifiers
identifiers.new_id()
run_before_snapshot()
kept, connected = list(identifiers._random_parts), len(apsw.connections())
identifiers._random_parts = iter(kept)
run_after_restore()
print(connected, identifiers.new_id()[-12:] in kept, len(apsw.connections()) > 0)
"""


def run(program: str, **variables: str) -> str:
    """What a fresh process prints, in a deployed function's environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD_")}
    command = [sys.executable, "-c", program]
    ended = subprocess.run(
        command, cwd=ROOT, env={**kept, **variables}, capture_output=True, text=True, check=True, timeout=60
    )
    return ended.stdout


@pytest.mark.parametrize(("url", "driver"), [("sqlite:///nothing.db", "apsw"), (NOWHERE, "psycopg")])
def test_loading_a_function_imports_the_driver_of_its_database_alone(url: str, driver: str) -> None:
    look = f"{LOAD}\nprint(*({{'apsw', 'psycopg'}} & sys.modules.keys()), 'shared.writes' in sys.modules)"
    assert run(look, SWITCHBOARD_DATABASE_URL=url) == f"{driver} True\n"


def test_a_cold_start_on_sqlite_does_without_typing_extensions() -> None:
    assert run(f"{LOAD}\nprint('typing_extensions' in sys.modules, 'msgspec' in sys.modules)") == "False True\n"


@pytest.mark.parametrize(
    "variables",
    [{"SWITCHBOARD_DATABASE_URL": "mysql://a/b"}, {"SWITCHBOARD_QUEUE_SIZE": "none"}],
    ids=["no such engine", "no number"],
)
def test_a_wrong_setting_is_no_error_before_the_first_call(variables: dict[str, str]) -> None:
    assert run(LOAD, SWITCHBOARD_CONNECT_AT_INIT="1", **variables) == ""
    answered = run(f"{LOAD}{ANSWER}print(answer['body'])", SWITCHBOARD_CONNECT_AT_INIT="1", **variables)
    assert answered.startswith("500 internal_error\n")
    assert f'"detail":"{next(iter(variables))}' in answered


@pytest.mark.parametrize(("connect", "exists"), [("0", False), ("1", True)])
def test_a_function_connects_while_it_is_loaded_if_it_is_told_to(database: Path, connect: str, exists: bool) -> None:
    run(LOAD, SWITCHBOARD_DATABASE_URL=f"sqlite:///{database}", SWITCHBOARD_CONNECT_AT_INIT=connect)
    assert database.exists() == exists


def test_the_first_call_connects_when_loading_could_not(database: Path) -> None:
    url = f"sqlite:///{database.parent}/later/a.db"
    program = f"{LOAD}{ANSWER}os.mkdir({str(database.parent / 'later')!r}){ANSWER}"
    answered = run(program, SWITCHBOARD_DATABASE_URL=url, SWITCHBOARD_CONNECT_AT_INIT="1")
    assert answered == "503 database_unavailable\n404 session_not_found\n"


@pytest.mark.parametrize(("connect", "connected"), [("0", False), ("1", True)])
def test_no_connection_and_no_random_bytes_are_part_of_a_snapshot(
    database: Path, connect: str, connected: bool
) -> None:
    printed = run(
        LOAD + ANSWER + SNAPSHOT,
        SWITCHBOARD_DATABASE_URL=f"sqlite:///{database}",
        SWITCHBOARD_CONNECT_AT_INIT=connect,
        AWS_LAMBDA_INITIALIZATION_TYPE="snap-start",
    )
    assert printed == f"404 session_not_found\n0 False {connected}\n"


def test_a_forked_child_has_random_bytes_of_its_own() -> None:
    identifiers.new_id()
    kept = list(copy.copy(identifiers._random_parts))
    child = os.fork()
    if child == 0:  # no assertions here: a child reports by its exit code alone
        os._exit(1 if identifiers.new_id()[-12:] in kept else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert identifiers.new_id()[-12:] in kept
