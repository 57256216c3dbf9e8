"""What a REST API does around a function: CORS, API keys, checked requests, mapped events."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.manifest import loader
from emulator.manifest.model import Manifest
from emulator.manifest.yaml.document import ManifestError
from tests.emulator.harness import Answer, Emulator, running, write_service

MANIFEST = """
service: rest
provider:
  name: aws
  stage: prod
  apiGateway:
    apiKeys:
      - generated
      - {name: given, value: 0123456789-0123456789}
      - {name: disabled, value: 9876543210-9876543210, enabled: false}
    request:
      schemas:
        named: {name: N, schema: {type: object, required: [name], properties: {name: {type: string, minLength: 2}}}}
functions:
  cors:
    handler: app.echo
    events:
      - http: {method: get, path: plain, cors: true}
      - http: {method: any, path: any, cors: true}
      - http: {method: get, path: own, cors: {origin: 'https://a.example', allowCredentials: true, maxAge: 600,
          headers: [X-A], cacheControl: 'max-age=60'}}
      - http: {method: post, path: own, cors: {origin: 'https://b.example', headers: [X-B], methods: [PUT]}}
      - http: {method: get, path: several, cors: {origins: ['https://a.example', 'https://*.b.example']}}
      - http: {method: options, path: mine, cors: true}
  private:
    handler: app.echo
    events: [{http: {method: get, path: private, private: true}}]
  checked:
    handler: app.echo
    events:
      - http: {method: get, path: 'checked/{id}', request: {parameters: {
          querystrings: {page: true, size: false, sort: {required: true}}, headers: {X-Room: true}, paths: {id: true}}}}
      - http: {method: post, path: named, request: {schemas: {application/json: named}}}
      - http: {method: post, path: inline, request: {schemas: {application/json: {type: array, maxItems: 1,
          items: {type: number, maximum: 5, exclusiveMaximum: true}}}}}
      - http: {method: post, path: remote, request: {schemas: {application/json: {$ref: 'https://a.example/x'}}}}
  mapped:
    handler: app.mapped
    timeout: 1
    events:
      - http: {method: post, path: 'mapped/{id}', integration: lambda, cors: true}
      - http: {method: post, path: later, integration: lambda, async: true}
      - http: {method: get, path: template, integration: lambda, request: {template: {text/html: x}}}
      - http: {method: get, path: elsewhere, integration: http, request: {uri: 'https://a.example'}}
"""
APP = """
import json, time
def echo(event, context):
    return {"statusCode": 200, "body": json.dumps(event)}
def mapped(event, context):
    order = event["body"]
    if isinstance(order, dict) and "raise" in order:
        raise Exception(order["raise"])
    if order == "sleep":
        time.sleep(3)  # longer than its time-out
    print("handled", order)
    return event
"""
GIVEN = "0123456789-0123456789"


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(write_service(tmp_path_factory.mktemp("rest") / "service", MANIFEST, app=APP)) as started:
        yield started


def refused(answer: Answer, status: int, message: str, kind: str) -> None:
    found = (answer.status, answer.json, answer.header("x-amzn-errortype"))
    assert found == (status, {"message": message}, kind)


def preflight(rest: Emulator, path: str, origin: str = "https://x.example") -> dict[str, str]:
    answer = rest.request("OPTIONS", f"/prod/{path}", headers=[("Origin", origin)])
    assert (answer.status, answer.body) == (200, b"")
    return {name.removeprefix("access-control-"): value for name, value in answer.headers}


def test_cors_true_is_the_frameworks_default(rest: Emulator) -> None:
    found = preflight(rest, "plain")
    assert (found["allow-origin"], found["allow-methods"]) == ("*", "OPTIONS,GET")
    assert found["allow-headers"].startswith("Content-Type,X-Amz-Date,Authorization,X-Api-Key")
    assert not found.keys() & {"allow-credentials", "max-age", "cache-control"}


def test_a_preflight_does_not_reach_the_function_of_any(rest: Emulator) -> None:
    assert preflight(rest, "any")["allow-methods"] == "OPTIONS,DELETE,GET,HEAD,PATCH,POST,PUT"
    assert rest.get("/prod/any").json["httpMethod"] == "GET"


def test_the_settings_of_one_path_are_merged_as_the_framework_merges_them(rest: Emulator) -> None:
    found = preflight(rest, "own/")
    assert (found["allow-origin"], found["allow-headers"]) == ("https://b.example", "X-B,X-A")
    assert (found["allow-methods"], found["allow-credentials"]) == ("PUT,OPTIONS,POST,GET", "true")
    assert (found["max-age"], found["cache-control"]) == ("600", "max-age=60")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://a.example", "https://a.example"),
        ("https://x.b.example", "https://x.b.example"),
        ("https://x.b.example.evil", "https://a.example"),
        ("https://xxb.example", "https://a.example"),
        ("https://.b.example", "https://a.example"),
    ],
)
def test_one_of_several_origins_is_named_and_any_other_gets_the_first(
    rest: Emulator, origin: str, allowed: str
) -> None:
    assert preflight(rest, "several", origin)["allow-origin"] == allowed


def test_a_route_for_options_answers_itself(rest: Emulator) -> None:
    assert rest.request("OPTIONS", "/prod/mine").json["httpMethod"] == "OPTIONS"


@pytest.mark.parametrize("sent", [None, "", "wrong", "9876543210-9876543210"])
def test_a_private_route_needs_a_key_that_is_enabled(rest: Emulator, sent: str | None) -> None:
    answer = rest.get("/prod/private", *([] if sent is None else [("x-api-key", sent)]))
    refused(answer, 403, "Forbidden", "ForbiddenException")


def test_a_key_is_in_the_functions_event(rest: Emulator) -> None:
    identity = rest.get("/prod/private", ("X-Api-Key", GIVEN)).json["requestContext"]["identity"]
    assert (identity["apiKey"], len(identity["apiKeyId"])) == (GIVEN, 10)


def test_a_generated_key_is_printed_and_a_given_one_is_not(rest: Emulator) -> None:
    value = hashlib.sha256(b"rest-prod generated").hexdigest()[:40]
    assert f"x-api-key  {value}  generated\n" in rest.output()
    assert GIVEN not in rest.output()
    assert rest.get("/prod/private", ("X-Api-Key", value)).status == 200


def test_the_key_may_come_from_the_authorizer(folder: Path) -> None:
    manifest = """
service: rest
provider: {name: aws, stage: prod, apiGateway: {apiKeySourceType: AUTHORIZER, apiKeys: [{value: the-key}]}}
functions:
  guard: {handler: app.guard}
  echo: {handler: app.echo, events: [{http: {method: get, path: /, private: true, authorizer: guard}}]}
"""
    app = (
        APP
        + """
def guard(event, context):
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": "ann", "policyDocument": policy, "usageIdentifierKey": event["authorizationToken"]}
"""
    )
    with running(write_service(folder, manifest, app=app)) as started:
        assert started.get("/prod/", ("Authorization", "the-key")).status == 200
        answer = started.get("/prod/", ("Authorization", "other"), ("X-Api-Key", "the-key"))
        refused(answer, 403, "Forbidden", "ForbiddenException")


def test_keys_of_usage_plans_count(tmp_path: Path) -> None:
    (tmp_path / "serverless.yml").write_text(
        "service: s\nprovider: {apiGateway: {usagePlan: [free: {}], apiKeys: [free: [a, {name: b, value: bb}], c]}}\n"
    )
    keys = loader.load(tmp_path / "serverless.yml", {}).rest.keys
    assert [(key.name, key.generated) for key in keys] == [("a", True), ("b", False), ("c", True)]


@pytest.mark.parametrize(
    ("query", "headers", "missing"),
    [
        ("", [], "page, sort, X-Room"),
        ("?page=1&sort=", [("x-room", "7")], "sort"),
        ("?sort=a", [("X-ROOM", "7")], "page"),
    ],
)
def test_a_required_parameter_must_have_a_value(
    rest: Emulator, query: str, headers: list[tuple[str, str]], missing: str
) -> None:
    answer = rest.get(f"/prod/checked/5{query}", *headers)
    refused(answer, 400, f"Missing required request parameters: [{missing}]", "BadRequestException")
    assert rest.get("/prod/checked/5?page=1&sort=a", ("X-Room", "7")).status == 200


@pytest.mark.parametrize(
    ("path", "body", "good"),
    [
        ("named", {"name": "ab", "more": 1}, True),
        ("named", {"name": "a"}, False),
        ("named", {}, False),
        ("inline", [4.5], True),
        ("inline", [5], False),
        ("inline", [2, 3], False),
    ],
)
def test_a_body_must_match_its_schema(rest: Emulator, path: str, body: Any, good: bool) -> None:
    answer = rest.post(f"/prod/{path}", body)
    assert answer.status == (200 if good else 400), answer.body
    assert good or answer.json == {"message": "Invalid request body"}


@pytest.mark.parametrize(("body", "kind"), [(b"{", None), (b"", None), (b"{", "application/json; charset=utf-8")])
def test_a_body_that_is_not_json_is_invalid(rest: Emulator, body: bytes, kind: str | None) -> None:
    answer = rest.request("POST", "/prod/named", body, [("Content-Type", kind)] if kind else [])
    refused(answer, 400, "Invalid request body", "BadRequestException")


def test_a_body_of_another_type_is_not_checked(rest: Emulator) -> None:
    assert rest.request("POST", "/prod/named", b"{", [("Content-Type", "text/plain")]).status == 200


@pytest.mark.parametrize("path", ["template", "elsewhere", "remote"])
def test_what_is_not_emulated_is_closed_and_said_at_the_start(rest: Emulator, path: str) -> None:
    answer = rest.request("POST" if path == "remote" else "GET", f"/prod/{path}")
    refused(answer, 501, "Not Implemented", "NotImplementedException")
    assert rest.output().count(": the answer is 501") == 3


def test_the_event_of_the_lambda_integration(rest: Emulator) -> None:
    headers = [("Content-Type", "application/json"), ("User-Agent", "school/1.0"), ("X-Room", "7")]
    answer = rest.request("POST", "/prod/mapped/5?a=1&a=2", b'{"b": [1]}', headers)
    event = answer.json
    sent = {name: value for name, value in event.pop("headers").items() if not name.startswith("X-A")}
    identity = {name: value for name, value in event.pop("identity").items() if value}
    assert (answer.header("access-control-allow-origin"), sent["X-Room"]) == ("*", "7")
    assert identity == {"sourceIp": "127.0.0.1", "userAgent": "school/1.0"}
    assert event == {
        "body": {"b": [1]},
        "method": "POST",
        "principalId": "",
        "stage": "prod",
        "cognitoPoolClaims": {"sub": ""},
        "enhancedAuthContext": {},
        "query": {"a": "2"},
        "path": {"id": "5"},
        "stageVariables": {},
        "requestPath": "/mapped/{id}",
    }


def test_a_form_is_an_object_and_other_types_have_no_template(rest: Emulator) -> None:
    form = rest.request(
        "POST", "/prod/mapped/5", b"a=1&b=x+y&c=", [("Content-Type", "application/x-www-form-urlencoded")]
    )
    assert form.json["body"] == {"a": "1", "b": "x y", "c": ""}
    assert rest.request("POST", "/prod/mapped/5", b"a", [("Content-Type", "text/plain")]).status == 415
    assert rest.request("POST", "/prod/mapped/5", b"{").status == 400


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"raise": "[404] no such pupil"}, 404),
        ({"raise": "a\n[500]"}, 500),
        ({"raise": "[418]"}, 200),
        ({"raise": "a\nTask timed out after 1.00 seconds"}, 200),
        ("sleep", 504),
    ],
)
def test_an_errors_message_chooses_the_status(rest: Emulator, order: Any, status: int) -> None:
    answer = rest.post("/prod/mapped/5", order)
    assert answer.status == status
    assert "errorMessage" in answer.json


def test_async_answers_at_once_and_the_function_runs(rest: Emulator) -> None:
    answer = rest.post("/prod/later", "in the background")
    assert (answer.status, answer.body) == (200, b"")
    rest.wait_for("handled in the background")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("apiKeys: 5", "must be a list"),
        ("apiKeys: [5]", "an API key is a name, or an object"),
        ("apiKeySourceType: COOKIE", "must be HEADER or AUTHORIZER"),
    ],
)
def test_settings_that_are_wrong_are_refused(tmp_path: Path, settings: str, message: str) -> None:
    (tmp_path / "serverless.yml").write_text(f"service: s\nprovider:\n  apiGateway:\n    {settings}\n")
    with pytest.raises(ManifestError, match=rf"serverless\.yml:4: .*{message}"):
        loader.load(tmp_path / "serverless.yml", {})


def test_a_private_route_without_any_key_is_a_warning(tmp_path: Path) -> None:
    text = "service: s\nfunctions:\n  a:\n    handler: a.b\n    events:\n      - http:\n          path: /\n"
    (tmp_path / "serverless.yml").write_text(text + "          method: get\n          private: true\n")
    (warning,) = loader.load(tmp_path / "serverless.yml", {}).warnings
    assert "serverless.yml:9: " in warning
    assert "there is no API key" in warning


def manifest_of(tmp_path: Path, settings: str, event: str = "{method: get, path: a}") -> Manifest:
    (tmp_path / "serverless.yml").write_text(
        f"service: s\nprovider:\n  apiGateway:\n    {settings}\n"
        f"functions:\n  a:\n    handler: a.b\n    events:\n      - http: {event}\n"
    )
    return loader.load(tmp_path / "serverless.yml", {})


@pytest.mark.parametrize(
    "settings", ["resourcePolicy: [{Effect: Deny}]", "usagePlan: {quota: {limit: 1}}", "minimumCompressionSize: 1024"]
)
def test_a_setting_without_effect_is_a_warning(tmp_path: Path, settings: str) -> None:
    (warning,) = manifest_of(tmp_path, settings).warnings
    assert "serverless.yml:4: " in warning
    assert f"{settings.partition(':')[0]} is not emulated" in warning


@pytest.mark.parametrize(
    "rest",
    [
        "request: {template: {application/json: x}}",
        "request: {passThrough: WHEN_NO_MATCH}",
        "request: {parameters: {headers: {X-A: {mappedValue: 'x'}}}}",
        "response: {template: x}",
    ],
)
def test_a_mapping_of_ones_own_closes_the_route(tmp_path: Path, rest: str) -> None:
    event = f"{{method: get, path: a, integration: lambda, {rest}}}"
    manifest = manifest_of(tmp_path, "description: d", event)
    (warning,) = manifest.warnings
    assert "not emulated: the answer is 501" in warning
    assert manifest.routes[0].rest is not None
    assert manifest.routes[0].rest.unavailable is not None


def test_a_response_that_is_to_be_streamed_is_a_warning(tmp_path: Path) -> None:
    event = "{method: get, path: a, response: {transferMode: STREAM}}"
    (warning,) = manifest_of(tmp_path, "description: d", event).warnings
    assert "Lambda's Python runtime does not stream" in warning


def test_the_time_that_a_route_waits(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, "timeoutInMillis: 5000")
    assert manifest.routes[0].rest is not None
    assert manifest.routes[0].rest.timeout == 5
    manifest = manifest_of(tmp_path, "timeoutInMillis: 5000", "{method: get, path: a, timeoutInMillis: 50}")
    assert manifest.routes[0].rest is not None
    assert manifest.routes[0].rest.timeout == 0.05


def test_the_api_may_have_a_stage_of_its_own_and_a_shorter_time(folder: Path) -> None:
    manifest = """
service: rest
provider: {name: aws, stage: dev, apiGateway: {stage: v1}}
functions:
  slow: {handler: app.slow, events: [{http: {method: get, path: slow, timeoutInMillis: 50}}]}
"""
    app = "import time\ndef slow(event, context):\n    time.sleep(1)\n"
    with running(write_service(folder, manifest, app=app)) as started:
        assert "/v1/slow" in started.output()
        refused(started.get("/v1/slow"), 504, "Endpoint request timed out", "InternalServerErrorException")
        assert started.get("/dev/slow").status == 404


def test_a_body_over_the_limit_in_a_rest_apis_words(rest: Emulator) -> None:
    answer = rest.request("POST", "/prod/named", b"x" * (10 * 1024 * 1024 + 1))
    refused(answer, 413, "Request Too Long", "RequestTooLargeException")


def test_the_schema_of_a_text(tmp_path: Path) -> None:
    schema = json.dumps({"type": "array"})
    (tmp_path / "serverless.yml").write_text(
        "service: s\nfunctions:\n  a:\n    handler: a.b\n    events:\n      - http:\n          path: /\n"
        f"          method: post\n          request: {{schemas: {{application/json: '{schema}'}}}}\n"
    )
    method = loader.load(tmp_path / "serverless.yml", {}).routes[0].rest
    assert method is not None
    method.rules.bodies["application/json"]([])
    with pytest.raises(ValueError, match="array"):
        method.rules.bodies["application/json"]({})
