"""Function URLs: an address for each function that has one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.harness import Answer, Emulator, running, write_service

MANIFEST = """
service: addressed
provider: {name: aws, region: eu-west-1}
functions:
  open:
    handler: app.echo
    url: {cors: {allowedOrigins: ["https://a.example"], allowedMethods: [GET], maxAge: 60}}
    events: [{httpApi: GET /open}]
  signed: {handler: app.echo, url: {authorizer: aws_iam}}
  broken: {handler: app.broken, url: true}
  wrong: {handler: app.wrong, url: true}
  slow: {handler: app.slow, timeout: 1, url: true}
  plain: {handler: app.plain, url: true}
"""
APP = """
import json, time
def echo(event, context):
    return {"statusCode": 200, "body": json.dumps(event)}
def broken(event, context):
    raise RuntimeError("no")
def wrong(event, context):
    return {"statusCode": "many"}
def slow(event, context):
    time.sleep(3)  # longer than its time-out
def plain(event, context):
    return {"hello": 1}
"""
SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261125/eu-west-1/lambda/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6"
)


@pytest.fixture(scope="module")
def addressed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(write_service(tmp_path_factory.mktemp("urls") / "service", MANIFEST, app=APP)) as started:
        yield started


def ask(started: Emulator, name: str, path: str = "/", *headers: tuple[str, str], method: str = "GET") -> Answer:
    """A request to the address that the banner has for this function."""
    found = re.search(rf"URL  http://127\.0\.0\.1:(\d+)  {name}\n", started.output())
    assert found, started.output()
    own, started.port = started.port, int(found[1])
    try:
        return started.request(method, path, headers=headers)
    finally:
        started.port = own


def test_every_path_and_method_reaches_the_function_as_it_was_sent(addressed: Emulator) -> None:
    event = ask(addressed, "open", "/a%20b/c?q=1", method="PATCH").json
    assert (event["version"], event["routeKey"], event["rawPath"]) == ("2.0", "$default", "/a%20b/c")
    context = event["requestContext"]
    assert (context["http"]["method"], context["http"]["path"]) == ("PATCH", "/a%20b/c")
    assert context["domainName"] == f"{context['apiId']}.lambda-url.eu-west-1.on.aws"
    assert (context["accountId"], context["stage"]) == ("anonymous", "$default")


def test_the_emulators_own_routes_are_not_on_it(addressed: Emulator) -> None:
    assert ask(addressed, "open", "/_emulator/logs").json["rawPath"] == "/_emulator/logs"


def test_a_function_keeps_its_routes(addressed: Emulator) -> None:
    assert addressed.get("/open").json["routeKey"] == "GET /open"
    assert addressed.get("/elsewhere").status == 404


def test_a_value_without_a_status_is_the_body(addressed: Emulator) -> None:
    assert ask(addressed, "plain").json == {"hello": 1}


@pytest.mark.parametrize("name", ["broken", "wrong", "slow"])
def test_a_function_that_fails_is_a_502(addressed: Emulator, name: str) -> None:
    answer = ask(addressed, name)
    assert (answer.status, answer.body) == (502, b"Internal Server Error")


def test_a_url_with_iam_needs_a_signature_for_lambda(addressed: Emulator) -> None:
    answer = ask(addressed, "signed")
    assert (answer.status, answer.json) == (403, {"Message": "Forbidden"})
    assert ask(addressed, "signed", "/", ("Authorization", SIGNATURE.replace("lambda", "execute-api"))).status == 403
    event = ask(addressed, "signed", "/", ("Authorization", SIGNATURE)).json
    assert event["requestContext"]["authorizer"]["iam"]["accessKey"] == "AKIDEXAMPLE"


def test_a_url_has_cors_settings_of_its_own(addressed: Emulator) -> None:
    asked = (("Origin", "https://a.example"), ("Access-Control-Request-Method", "GET"))
    preflight = ask(addressed, "open", "/", *asked, method="OPTIONS")
    assert preflight.header("access-control-allow-origin") == "https://a.example"
    assert preflight.header("access-control-max-age") == "60"
    assert ask(addressed, "plain", "/", asked[0]).header("access-control-allow-origin") is None


def test_urls_of_a_changed_manifest(folder: Path) -> None:
    write_service(folder, MANIFEST, app=APP)
    with running(folder) as started:
        assert ask(started, "plain").status == 200
        changed = MANIFEST.replace("app.plain, url: true", "app.plain") + "  new: {handler: app.plain, url: true}\n"
        write_service(folder, changed)
        until = time.monotonic() + 10
        while ask(started, "plain").status == 200:
            assert time.monotonic() < until, "the URL is still served"
        assert ask(started, "plain").status == 404
        started.wait_for("new has a function URL now: start the emulator again to serve it")
        assert ask(started, "open").status == 200
