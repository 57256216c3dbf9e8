"""The CloudFormation of each way to know callers: without errors, and no route open but `health`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from tests.deploy.conftest import NO_ACCOUNT, NOT_PASSED, Package, Resources, of_http_api, of_type
from tests.deploy.test_template import ALLOWED_WARNINGS
from tests.emulator.harness import running
from tests.emulator.test_identity import VerifiedService, lesson
from tests.identity_provider import SECRET, hs256

pytestmark = pytest.mark.timeout(1200)  # the first test installs the packager

OPEN = {"GET /health"}
"""Routes that strangers may call; they learn the status alone."""

AFTER_HANDSHAKE = {"$default", "$disconnect"}
"""Routes of a WebSocket API that only an open connection reaches; AWS has authorizers for the handshake alone."""

ORIGIN = "https://classroom.example"
MODES = {
    "issuer": ("issuer=https://issuer.example", "audience=classroom", f"origin={ORIGIN}"),
    "secret": (f"origin={ORIGIN}",),
}


@dataclass(frozen=True)
class Deployment:
    """What one way deploys."""

    mode: str
    template: Path
    resources: Resources

    def of_type(self, kind: str) -> Resources:
        """The properties of all resources of a type."""
        return of_type(self.resources, kind)


@pytest.fixture(scope="package", params=list(MODES))
def deployment(
    request: pytest.FixtureRequest, package: Package, tmp_path_factory: pytest.TempPathFactory
) -> Deployment:
    """The service packaged with verified callers, in a folder of its own: packaging empties its folder first."""
    folder = tmp_path_factory.mktemp("deployment") / request.param
    shutil.copytree(package.project, folder, ignore=shutil.ignore_patterns("node_modules", ".serverless"))
    (folder / "node_modules").symlink_to(package.project / "node_modules")
    parameters = [f"--param={one}" for one in (f"identity={request.param}", *MODES[request.param])]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["node_modules/.bin/osls", "package", "--stage", "dev", *parameters]
    run = subprocess.run(command, cwd=folder, env={**kept, **NO_ACCOUNT, "PATH": path}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    template = folder / ".serverless/cloudformation-template-update-stack.json"
    return Deployment(request.param, template, cast(Resources, json.loads(template.read_text())["Resources"]))


def test_cfn_lint_finds_nothing(deployment: Deployment) -> None:
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--format", "json", "--regions", "eu-central-1", "--"]
    lint = subprocess.run([*command, deployment.template], capture_output=True, text=True)
    found = json.loads(lint.stdout)
    assert [match for match in found if match["Rule"]["Id"] not in ALLOWED_WARNINGS] == []


def test_no_route_is_open_but_health(deployment: Deployment) -> None:
    kinds = {"issuer": "JWT", "secret": "CUSTOM"}
    authorizers = set(deployment.of_type("AWS::ApiGatewayV2::Authorizer"))
    found = {}
    for route in deployment.of_type("AWS::ApiGatewayV2::Route").values():
        closed = route.get("AuthorizerId", {}).get("Ref") in authorizers
        found[route["RouteKey"]] = route.get("AuthorizationType", "NONE") if closed else "NONE"
    assert {key for key, kind in found.items() if kind == "NONE"} == OPEN | AFTER_HANDSHAKE
    assert found.pop("$connect") == "CUSTOM"
    assert {kind for kind in found.values() if kind != "NONE"} == {kinds[deployment.mode]}


def test_functions_can_be_reached_by_the_gateway_alone(deployment: Deployment) -> None:
    assert deployment.of_type("AWS::Lambda::Url") == {}
    principals = {entry["Principal"] for entry in deployment.of_type("AWS::Lambda::Permission").values()}
    assert principals == {"apigateway.amazonaws.com", "events.amazonaws.com"}


def test_every_function_verifies_its_callers_too(deployment: Deployment) -> None:
    functions = deployment.of_type("AWS::Lambda::Function").values()
    assert {entry["Environment"]["Variables"]["SWITCHBOARD_IDENTITY"] for entry in functions} == {"claims"}


def test_only_authorize_sees_the_secrets(deployment: Deployment) -> None:
    functions = deployment.of_type("AWS::Lambda::Function").values()
    having = [one["Handler"] for one in functions if "SWITCHBOARD_TOKEN_SECRETS" in one["Environment"]["Variables"]]
    assert having == ["functions.authorize.handler"]


def test_only_named_origins_may_call(deployment: Deployment) -> None:
    (api,) = of_http_api(deployment.resources, "AWS::ApiGatewayV2::Api").values()
    assert api["CorsConfiguration"]["AllowOrigins"] == [ORIGIN]
    assert "Authorization" in api["CorsConfiguration"]["AllowHeaders"]


def test_no_answer_of_the_authorizer_is_kept(deployment: Deployment) -> None:
    authorizers = deployment.of_type("AWS::ApiGatewayV2::Authorizer").values()
    assert {authorizer.get("AuthorizerResultTtlInSeconds", 0) for authorizer in authorizers} == {0}


def test_without_identity_every_route_is_open(resources: Resources) -> None:
    routes = of_http_api(resources, "AWS::ApiGatewayV2::Route").values()
    functions = of_type(resources, "AWS::Lambda::Function").values()
    assert {route.get("AuthorizationType", "NONE") for route in routes} == {"NONE"}
    assert {entry["Environment"]["Variables"]["SWITCHBOARD_IDENTITY"] for entry in functions} == {"trust"}


def test_a_lesson_with_verified_callers_from_the_zip(
    package: Package, unzipped: Path, python: Path, database: Path
) -> None:
    shutil.copy(package.project / "serverless.yml", unzipped)
    options = ("--runtime", "ric", "--python", str(python), "--param", "identity=secret", "--pass-env", "SWITCHBOARD_*")
    environ = {"SWITCHBOARD_DATABASE_URL": f"sqlite:///{database}", "SWITCHBOARD_TOKEN_SECRETS": SECRET}
    people = {"ms_noether": ["teacher"], "ann": [], "eve": []}
    with running(unzipped, *options, env=environ) as served:
        lesson(VerifiedService(served), *(hs256(sub=user, roles=roles) for user, roles in people.items()))
