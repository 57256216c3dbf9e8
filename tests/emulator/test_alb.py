"""Load balancers: listeners with rules, on ports of their own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.gateway.load_balancer import alb_conditions
from emulator.gateway.request import Request
from emulator.manifest.events.alb_model import AlbConditions
from emulator.manifest.loader import load
from emulator.manifest.yaml.document import ManifestError
from tests.emulator.harness import Answer, Emulator, running, write_service

ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/school/50dc6c495c0c9188/f2f7dc8efc522ab2"
MANIFEST = f"""
service: balanced
provider: {{name: aws, region: eu-west-1}}
functions:
  plain:
    handler: app.echo
    events:
      - alb: {{listenerArn: "{ARN}", priority: 20, conditions: {{path: /pets/*, method: [GET, POST]}}}}
  several:
    handler: app.echo
    events:
      - alb: {{listenerArn: "{ARN}", priority: 10, multiValueHeaders: true, conditions: {{path: /pets/many}}}}
  answer:
    handler: app.answer
    timeout: 1
    events:
      - alb: {{listenerArn: {{Ref: Other}}, priority: 1, conditions: {{path: /answer}}}}
      - alb: {{listenerArn: {{Ref: Other}}, priority: 2, conditions: {{path: /many}}, multiValueHeaders: true}}
      - alb: {{listenerArn: {{Ref: Other}}, priority: 3, conditions: {{path: /login}}, authorizer: cognito}}
  health:
    handler: app.health
    events:
      - alb: {{listenerArn: {{Ref: Other}}, priority: 4, conditions: {{host: health.example}},
          healthCheck: {{path: /alive, intervalSeconds: 5, matcher: {{httpCode: "200-204"}}}}}}
"""
APP = """
import json, time
def echo(event, context):
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event),
            "multiValueHeaders": {"content-type": ["application/json"]}}
def answer(event, context):
    order = json.loads(event["body"])
    if order == "sleep":
        time.sleep(3)
    return order
def health(event, context):
    print("checked", json.dumps(event))
    return {"statusCode": 204}
"""


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(write_service(tmp_path_factory.mktemp("alb") / "service", MANIFEST, app=APP)) as started:
        yield started


def ask(
    started: Emulator,
    path: str,
    *headers: tuple[str, str],
    method: str = "GET",
    body: bytes | None = None,
    listener: str = ARN,
) -> Answer:
    """A request to the address that the banner has for this listener."""
    found = re.search(rf"ALB  http://127\.0\.0\.1:(\d+)  {listener}\n", started.output())
    assert found, started.output()
    own, started.port = started.port, int(found[1])
    try:
        return started.request(method, path, body, headers)
    finally:
        started.port = own


def test_the_event_of_a_load_balancer(balanced: Emulator) -> None:
    headers = [("X-Room", "12"), ("X-Room", "13"), ("Content-Type", "application/json")]
    event = ask(balanced, "/pets/a%20b?q=1&q=2+3%21", *headers, method="POST", body=b'{"a": 1}').json
    group, given = event.pop("requestContext")["elb"], event.pop("headers")
    assert re.fullmatch(
        r"arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/\w+/\w{16}", group["targetGroupArn"]
    )
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", given.pop("x-amzn-trace-id"))
    assert given == {
        "host": given["host"],
        "x-room": "13",
        "content-type": "application/json",
        "content-length": "8",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-port": given["host"].partition(":")[2],
        "x-forwarded-proto": "http",
    }
    assert event == {
        "httpMethod": "POST",
        "path": "/pets/a%20b",
        "queryStringParameters": {"q": "2+3%21"},
        "body": '{"a": 1}',
        "isBase64Encoded": False,
    }


def test_every_value_where_the_rule_says_so(balanced: Emulator) -> None:
    event = ask(balanced, "/pets/many?q=1&q=2", ("X-Room", "12"), ("X-Room", "13")).json
    assert event["multiValueQueryStringParameters"] == {"q": ["1", "2"]}
    assert event["multiValueHeaders"]["x-room"] == ["12", "13"]
    assert not event.keys() & {"headers", "queryStringParameters"}
    assert (event["body"], event["isBase64Encoded"]) == ("", False)


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ([("Content-Type", "text/plain; charset=utf-8")], True),
        ([("Content-Type", "application/xml")], True),
        ([("Content-Type", "text/plain"), ("Content-Encoding", "gzip")], False),
        ([("Content-Type", "image/png")], False),
        ([], False),
    ],
)
def test_a_body_is_text_or_base64(balanced: Emulator, headers: list[tuple[str, str]], text: bool) -> None:
    event = ask(balanced, "/pets/a", *headers, method="POST", body=b"ab").json
    assert (event["body"], event["isBase64Encoded"]) == (("ab", False) if text else ("YWI=", True))


def test_without_a_rule_there_is_no_answer(balanced: Emulator) -> None:
    assert ask(balanced, "/elsewhere").status == 404
    assert ask(balanced, "/pets/a", method="PUT").status == 404
    assert ask(balanced, "/pets/a", listener="Other").status == 404
    assert balanced.get("/pets/a").json == {"message": "Not Found"}  # the HTTP API is another address


def order(balanced: Emulator, value: Any, path: str = "/answer") -> Answer:
    body, kind = json.dumps(value).encode(), ("Content-Type", "application/json")
    return ask(balanced, path, kind, method="POST", body=body, listener="Other")


def test_the_answer_of_a_function(balanced: Emulator) -> None:
    value = {"statusCode": 201, "statusDescription": "201 Created", "body": "AAE=", "isBase64Encoded": True}
    answer = order(balanced, {**value, "headers": {"X-A": "1"}, "multiValueHeaders": {"X-B": ["2"]}})
    assert (answer.status, answer.body) == (201, b"\x00\x01")
    assert (answer.header("x-a"), answer.header("x-b")) == ("1", None)
    assert answer.header("content-type") == "application/octet-stream"
    answer = order(balanced, {**value, "headers": {"X-A": "1"}, "multiValueHeaders": {"X-B": ["2", "3"]}}, "/many")
    assert [item for item in answer.headers if item[0].startswith("x-")] == [("x-b", "2"), ("x-b", "3")]


@pytest.mark.parametrize("value", ["text", {"body": "no status"}, {"statusCode": "many"}, "sleep", None])
def test_a_failure_or_a_malformed_answer_is_a_502(balanced: Emulator, value: Any) -> None:
    answer = order(balanced, value)
    assert (answer.status, answer.header("content-type")) == (502, "text/html")
    assert b"<h1>502 Bad Gateway</h1>" in answer.body


def test_bodies_are_at_most_a_megabyte(balanced: Emulator) -> None:
    answer = ask(balanced, "/pets/a", method="POST", body=b"x" * (1024 * 1024 + 1))
    assert answer.status == 413
    big = ask(balanced, "/pets/a", ("Content-Type", "text/plain"), method="POST", body=b"x" * (1024 * 1024 - 10))
    assert big.status == 502  # the event in the answer is larger


def test_a_rule_with_a_login_is_closed(balanced: Emulator) -> None:
    assert order(balanced, {"statusCode": 200}, "/login").status == 401
    assert "the log-in of a load balancer is not emulated: the answer is 401" in balanced.output()


def test_a_health_check_calls_the_function(balanced: Emulator) -> None:
    balanced.wait_for("HEALTH  /alive  healthy  health")
    shown = re.search(r"checked (\{.*\})", balanced.output())
    assert shown
    event = json.loads(shown[1])
    assert (event["path"], event["headers"]) == ("/alive", {"user-agent": "ELB-HealthChecker/2.0"})


HEADERS = [(b"host", b"School.example:8080"), (b"x-kind", b"Beta"), (b"x-kind", b"two")]


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        (AlbConditions(paths=("/a", "/p?ts/*")), True),
        (AlbConditions(paths=("/Pets/*",)), False),
        (AlbConditions(hosts=("*.EXAMPLE",)), True),
        (AlbConditions(hosts=("example",)), False),
        (AlbConditions(methods=("POST",)), False),
        (AlbConditions(headers=(("X-Kind", ("b*",)),)), True),
        (AlbConditions(headers=(("X-Kind", ("b*",)), ("x-none", ("*",)))), False),
        (AlbConditions(query=(("none", "1"), ("Q", "A*"))), True),
        (AlbConditions(query=(("q", "b"),)), False),
        (AlbConditions(networks=("10.0.0.0/8", "192.0.2.0/24")), True),
        (AlbConditions(networks=("2001:db8::/32", "10.0.0.0/8")), False),
        (AlbConditions(paths=("*",), methods=("GET",), query=(("q", "*"),), networks=("0.0.0.0/0",)), True),
    ],
)
def test_conditions(conditions: AlbConditions, holds: bool) -> None:
    scope = {"method": "GET", "raw_path": b"/pets/1", "query_string": b"q=abc&r", "http_version": "1.1"}
    request = Request.from_scope({**scope, "headers": HEADERS, "client": ("192.0.2.7", 1)}, 0.0)
    assert alb_conditions.hold(conditions, request) is holds


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{priority: 1, conditions: {path: /}}", "needs a listenerArn"),
        ("{listenerArn: a, conditions: {path: /}}", "needs a priority"),
        ("{listenerArn: a, priority: 1}", "at least one condition"),
        ("{listenerArn: a, priority: 1, conditions: {ip: here}}", "does not appear to be"),
        ("{listenerArn: a, priority: 7, conditions: {path: /}}", "is already the priority of one, line 5"),
        ("{listenerArn: a, priority: 1, conditions: {path: /}, healthCheck: {matcher: {httpCode: ok}}}", "statuses"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, settings: str, message: str) -> None:
    path = tmp_path / "serverless.yml"
    path.write_text(
        "service: s\nfunctions:\n  one:\n    handler: a.b\n"
        "    events: [alb: {listenerArn: a, priority: 7, conditions: {path: /}}]\n"
        f"  two:\n    handler: a.b\n    events:\n      - alb: {settings}\n"
    )
    with pytest.raises(ManifestError, match=rf"serverless\.yml:9: .*{message}"):
        load(path, {})
