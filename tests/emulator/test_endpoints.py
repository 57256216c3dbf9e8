"""The variables by which AWS's clients in a function find the emulator's own APIs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.conftest import RUNTIMES
from tests.emulator.harness import running, write_service

NAMES = ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", "AWS_ENDPOINT_URL_LAMBDA")
MANIFEST = """service: s
provider: {name: aws, region: eu-west-1}
functions:
  one:
    handler: app.one
    environment: {ENVIRONMENT}
    events: [{httpApi: GET /one}]
"""
APP = """
import json, os, urllib.request

def one(event, context):
    names = ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", "AWS_ENDPOINT_URL_LAMBDA", "AWS_REGION", "AWS_DEFAULT_REGION")
    found = {name: os.environ[name] for name in names if name in os.environ}
    if "LAMBDA" in str(event.get("queryStringParameters")):
        with urllib.request.urlopen(found["AWS_ENDPOINT_URL_LAMBDA"] + "/2015-03-31/functions/") as answer:
            found["functions"] = [one["FunctionName"] for one in json.load(answer)["Functions"]]
    return found
"""


def found(folder: Path, *options: str, environment: str = "{}", path: str = "/one") -> dict[str, Any]:
    """What a function sees, and the port of its emulator."""
    write_service(folder, MANIFEST.replace("{ENVIRONMENT}", environment), app=APP)
    with running(folder, *options) as emulator:
        return {**emulator.get(path).json, "port": str(emulator.port)}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_functions_find_the_emulator_and_their_region(folder: Path, runtime: str) -> None:
    told = found(folder, *RUNTIMES[runtime])
    url = f"http://127.0.0.1:{told['port']}"
    assert [told[name] for name in NAMES] == [url, url]
    assert [told["AWS_REGION"], told["AWS_DEFAULT_REGION"]] == ["eu-west-1", "eu-west-1"]


def test_the_address_is_one_that_a_function_reaches(folder: Path) -> None:
    told = found(folder, "--host", "0.0.0.0", path="/one?LAMBDA=1")
    assert told["AWS_ENDPOINT_URL_LAMBDA"] == f"http://127.0.0.1:{told['port']}"
    assert told["functions"] == ["s-dev-one"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_projects_own_variables_count(folder: Path, runtime: str) -> None:
    own = json.dumps(dict.fromkeys(NAMES, "http://other:1"))
    told = found(folder, *RUNTIMES[runtime], environment=own)
    assert [told[name] for name in NAMES] == ["http://other:1"] * 2


def test_a_server_for_all_services_is_asked_for_functions_but_not_for_connections(folder: Path) -> None:
    told = found(folder, environment='{"AWS_ENDPOINT_URL": "http://localstack:4566"}')
    assert "AWS_ENDPOINT_URL_LAMBDA" not in told
    assert told["AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"] == f"http://127.0.0.1:{told['port']}"
