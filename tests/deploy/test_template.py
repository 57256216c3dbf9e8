"""The CloudFormation that `make package` builds: without errors, and the same service as the emulator's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.manifest.environment import known_text
from emulator.manifest.model import Manifest
from tests.deploy.conftest import Package, Resources, of_http_api, of_type

pytestmark = pytest.mark.timeout(1200)  # the first test installs the packager

ALLOWED_WARNINGS = {"W3005"}
"""W3005: osls writes down the order of routes and integrations, which their references give as well."""


def test_cfn_lint_finds_nothing(package: Package, manifest: Manifest) -> None:
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--format", "json", "--regions", manifest.region, "--"]
    lint = subprocess.run([*command, *package.templates], capture_output=True, text=True)
    found = json.loads(lint.stdout)
    assert [match for match in found if match["Rule"]["Id"] not in ALLOWED_WARNINGS] == []
    assert lint.stderr == ""


def test_functions_deploy_as_the_emulator_runs_them(resources: Resources, manifest: Manifest) -> None:
    deployed = {
        entry["FunctionName"]: (
            entry["Handler"],
            entry["Runtime"],
            entry["MemorySize"],
            entry["Timeout"],
            {
                name: known_text(value, manifest.region) if isinstance(value, dict) else value
                for name, value in entry["Environment"]["Variables"].items()
            },
        )
        for entry in of_type(resources, "AWS::Lambda::Function").values()
    }
    assert deployed == {
        one.full_name: (one.handler, one.runtime, one.memory_size, one.timeout, dict(one.environment))
        for one in manifest.functions.values()
    }


def test_routes_deploy_as_the_emulator_serves_them(resources: Resources, manifest: Manifest) -> None:
    functions = of_type(resources, "AWS::Lambda::Function")
    integrations = of_type(resources, "AWS::ApiGatewayV2::Integration")
    deployed = {}
    for route in of_http_api(resources, "AWS::ApiGatewayV2::Route").values():
        integration = integrations[route["Target"]["Fn::Join"][1][1]["Ref"]]
        function = functions[integration["IntegrationUri"]["Fn::GetAtt"][0]]
        deployed[route["RouteKey"]] = (function["FunctionName"], integration["PayloadFormatVersion"])
        assert function["Timeout"] * 1000 < integration["TimeoutInMillis"]
    assert deployed == {route.key: (route.function.full_name, route.payload) for route in manifest.routes}


def test_cors_deploys_as_the_emulator_answers_it(resources: Resources, manifest: Manifest) -> None:
    (api,) = of_http_api(resources, "AWS::ApiGatewayV2::Api").values()
    cors = manifest.cors
    assert cors is not None
    assert api["CorsConfiguration"] == {
        "AllowOrigins": list(cors.allowed_origins),
        "AllowMethods": list(cors.allowed_methods),
        "AllowHeaders": list(cors.allowed_headers),
        "ExposeHeaders": list(cors.exposed_headers),
        "MaxAge": cors.max_age,
    }


def test_no_log_is_kept_for_ever(resources: Resources, manifest: Manifest) -> None:
    kept = {
        group["LogGroupName"]: group.get("RetentionInDays")
        for group in of_type(resources, "AWS::Logs::LogGroup").values()
    }
    assert kept == {f"/aws/lambda/{one.full_name}": 30 for one in manifest.functions.values()}


def test_the_websocket_api_has_its_routes_and_asks_its_authorizer_in_any_case(resources: Resources) -> None:
    routes = {
        route["RouteKey"]: (route["AuthorizationType"], route.get("RouteResponseSelectionExpression"))
        for route in of_type(resources, "AWS::ApiGatewayV2::Route").values()
        if route["ApiId"] == {"Ref": "WebsocketsApi"}
    }
    assert routes == {"$connect": ("CUSTOM", None), "$disconnect": ("NONE", None), "$default": ("NONE", "$default")}
    (authorizer,) = of_type(resources, "AWS::ApiGatewayV2::Authorizer").values()
    assert authorizer["IdentitySource"] == []


def test_functions_may_send_to_their_own_connections_and_start_two_functions_and_nothing_else(
    resources: Resources,
) -> None:
    (role,) = of_type(resources, "AWS::IAM::Role").values()
    (policy,) = role["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    allowed = {
        (str(statement["Action"]), resource["Fn::Sub"].rpartition(":")[2])
        for statement in statements
        for resource in statement["Resource"]
        if "logs" not in str(statement["Action"])
    }
    assert allowed == {
        ("execute-api:ManageConnections", "${WebsocketsApi}/dev/POST/@connections/*"),
        ("execute-api:ManageConnections", "${WebsocketsApi}/dev/DELETE/@connections/*"),
        ("lambda:InvokeFunction", "switchboard-sessions-dev-deliver"),
        ("lambda:InvokeFunction", "switchboard-sessions-dev-replay"),
    }
