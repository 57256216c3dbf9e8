"""Authorizers of REST APIs: TOKEN and REQUEST functions, and Cognito user pools."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from emulator.manifest.loader import load
from emulator.manifest.model import Authorizer, RestAuthorizer, UnavailableAuthorizer
from emulator.manifest.yaml.document import ManifestError
from tests.emulator.harness import Answer, Emulator, running, write_service
from tests.emulator.issuer import publishing

POOL = "eu-west-1_school"
ISSUER = f"https://cognito-idp.eu-west-1.amazonaws.com/{POOL}"
MANIFEST = f"""
service: guarded
provider: {{name: aws, region: eu-west-1, stage: prod}}
functions:
  token: {{handler: app.guard, timeout: 1}}
  kept: {{handler: app.guard}}
  whole: {{handler: app.guard}}
  uncached: {{handler: app.guard}}
  echo:
    handler: app.echo
    events:
      - http: {{method: get, path: "token/{{room}}", authorizer: {{name: token, resultTtlInSeconds: 0,
          identityValidationExpression: "for .*"}}}}
      - http: {{method: get, path: "kept/{{room}}", authorizer: kept}}
      - http: {{method: get, path: "whole/{{room}}", authorizer: {{name: whole, type: request, resultTtlInSeconds: 60,
          identitySource: "method.request.header.X-Who, method.request.querystring.as, context.identity.sourceIp"}}}}
      - http: {{method: get, path: uncached, authorizer: {{name: uncached, type: request, resultTtlInSeconds: 0}}}}
      - http: {{method: get, path: pool, authorizer: "arn:aws:cognito-idp:eu-west-1:1:userpool/{POOL}"}}
      - http: {{method: get, path: scoped, authorizer: {{arn: "arn:aws:cognito-idp:eu-west-1:1:userpool/{POOL}",
          scopes: [school/teach, school/learn]}}}}
      - http: {{method: get, path: closed, authorizer: {{type: COGNITO_USER_POOLS, authorizerId: {{Ref: Pool}}}}}}
"""
APP = """
import json
calls = 0
def guard(event, context):
    global calls
    calls += 1
    given = event.get("authorizationToken") or event["headers"].get("X-Who", "for {}")
    order = json.loads(given[4:])
    if "raise" in order:
        raise Exception(order["raise"])
    text = json.dumps({"effect": "Allow", "resource": "*", **order}).replace("ARN", event["methodArn"])
    order = json.loads(text)
    statement = {"Action": "execute-api:Invoke", "Effect": order["effect"], "Resource": order["resource"]}
    return {
        "principalId": order.get("principal", "ann"),
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": order.get("context", {"calls": calls, "event": json.dumps(event)}),
    }
def echo(event, context):
    return {"statusCode": 200, "body": json.dumps(event["requestContext"].get("authorizer"))}
"""


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def guarded(key: rsa.RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    folder = write_service(tmp_path_factory.mktemp("guarded") / "service", MANIFEST, app=APP)
    with publishing([{**public, "kid": "one", "use": "sig"}]) as cognito:
        environment = {"AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": cognito}
        with running(folder, env=environment) as started:
            yield started


def order(**values: Any) -> str:
    return f"for {json.dumps(values)}"


def ask(guarded: Emulator, path: str, text: str) -> Answer:
    return guarded.get(path, ("Authorization", text))


def refused(answer: Answer, status: int, message: str | None, kind: str) -> None:
    found = (answer.status, answer.json, answer.header("x-amzn-errortype"))
    assert found == (status, {"message": message}, kind)


def test_the_event_of_a_token_authorizer(guarded: Emulator) -> None:
    found = ask(guarded, "/prod/token/a%20b?x=1", order()).json
    assert json.loads(found["event"]) == {
        "type": "TOKEN",
        "methodArn": "arn:aws:execute-api:eu-west-1:123456789012:local/prod/GET/token/a%20b",
        "authorizationToken": order(),
    }


def test_the_context_is_beside_the_principal_and_every_value_is_a_text(guarded: Emulator) -> None:
    context = {"text": "a", "number": 1, "half": 0.5, "yes": True, "nothing": None}
    found = ask(guarded, "/prod/token/a", order(context=context)).json
    assert found.pop("integrationLatency") >= 0
    assert found == {"principalId": "ann", "text": "a", "number": "1", "half": "0.5", "yes": "true"}


def test_a_missing_token_or_one_that_does_not_match_is_unauthorized(guarded: Emulator) -> None:
    refused(guarded.get("/prod/token/a"), 401, "Unauthorized", "UnauthorizedException")
    refused(ask(guarded, "/prod/token/a", "Bearer x"), 401, "Unauthorized", "UnauthorizedException")


def test_a_policy_that_does_not_allow_or_that_denies(guarded: Emulator) -> None:
    message = "User is not authorized to access this resource"
    other = ask(guarded, "/prod/token/a", order(resource="arn:aws:execute-api:*/prod/GET/other"))
    refused(other, 403, message, "AccessDeniedException")
    denied = ask(guarded, "/prod/token/a", order(effect="Deny"))
    refused(denied, 403, f"{message} with an explicit deny", "AccessDeniedException")
    assert ask(guarded, "/prod/token/a", order(resource="ARN")).status == 200


def test_a_function_that_raises_unauthorized_refuses_and_any_other_failure_is_a_500(guarded: Emulator) -> None:
    raised = ask(guarded, "/prod/token/a", order(**{"raise": "Unauthorized"}))
    refused(raised, 401, "Unauthorized", "UnauthorizedException")
    raised = ask(guarded, "/prod/token/a", order(**{"raise": "no database"}))
    refused(raised, 500, None, "AuthorizerConfigurationException")


@pytest.mark.parametrize(
    "values", [{"principal": 5}, {"context": {"a": [1]}}, {"context": {"a": {}}}, {"context": "x"}]
)
def test_a_malformed_answer_is_a_500_and_never_remembered(guarded: Emulator, values: dict[str, Any]) -> None:
    before = ask(guarded, "/prod/kept/a", order(which=str(values))).json["calls"]
    for _ in range(2):
        refused(ask(guarded, "/prod/kept/a", order(**values)), 500, None, "AuthorizerConfigurationException")
    after = ask(guarded, "/prod/kept/a", order(which=str(values), again=1)).json["calls"]
    assert int(after) == int(before) + 3


def test_a_policy_is_remembered_and_applied_to_other_paths(guarded: Emulator) -> None:
    text = order(resource="ARN")
    assert [ask(guarded, "/prod/kept/a", text).status for _ in range(2)] == [200, 200]
    assert ask(guarded, "/prod/kept/b", text).status == 403
    text = order(resource="*", which="remembered")
    answers = [ask(guarded, f"/prod/kept/{room}", text).json for room in "ab"]
    assert answers[0]["calls"] == answers[1]["calls"]
    assert answers[1]["integrationLatency"] == 0


def test_the_event_of_a_request_authorizer_is_the_functions_without_its_body(guarded: Emulator) -> None:
    answer = guarded.get("/prod/whole/a?as=bob", ("X-Who", order()))
    event = json.loads(answer.json["event"])
    headers, values, context = event.pop("headers"), event.pop("multiValueHeaders"), event.pop("requestContext")
    assert (headers["X-Who"], values["X-Who"]) == (order(), [order()])
    assert (context["resourcePath"], context["stage"]) == ("/whole/{room}", "prod")
    assert event == {
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:eu-west-1:123456789012:local/prod/GET/whole/a",
        "resource": "/whole/{room}",
        "path": "/whole/a",
        "httpMethod": "GET",
        "queryStringParameters": {"as": "bob"},
        "multiValueQueryStringParameters": {"as": ["bob"]},
        "pathParameters": {"room": "a"},
        "stageVariables": {},
    }


def test_every_identity_source_must_be_there_when_answers_are_kept(guarded: Emulator) -> None:
    who = ("X-Who", order())
    refused(guarded.get("/prod/whole/a", who), 401, "Unauthorized", "UnauthorizedException")
    refused(guarded.get("/prod/whole/a?as=", who), 401, "Unauthorized", "UnauthorizedException")
    refused(guarded.get("/prod/whole/a?as=bob"), 401, "Unauthorized", "UnauthorizedException")
    assert guarded.get("/prod/uncached").status == 200  # its function decides


def token(key: rsa.RSAPrivateKey, **changes: Any) -> str:
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": "app", "token_use": "id", "exp": now + 60, "iat": 1469814773, "sub": "7"}
    return jwt.encode({**usual, **changes}, key, "RS256", {"kid": "one"})


def test_a_pools_token_passes_and_its_claims_arrive_as_a_rest_api_spells_them(
    guarded: Emulator, key: rsa.RSAPrivateKey
) -> None:
    more = {"cognito:groups": ["a", "b"], "email_verified": True, "auth_time": 5, "address": {"city": "Bern"}}
    found = ask(guarded, "/prod/pool", token(key, **more)).json
    claims = found.pop("claims")
    assert not found
    assert claims.pop("exp").endswith(time.strftime(" UTC %Y", time.gmtime(time.time() + 60)))
    assert claims == {
        "iss": ISSUER,
        "aud": "app",
        "token_use": "id",
        "sub": "7",
        "iat": "Fri Jul 29 17:52:53 UTC 2016",
        "cognito:groups": "a,b",
        "email_verified": "true",
        "auth_time": "5",
        "address": '{"city":"Bern"}',
    }
    assert ask(guarded, "/prod/pool", f"Bearer {token(key)}").status == 200


@pytest.mark.parametrize("changes", [{"iss": f"{ISSUER}x"}, {"token_use": "access"}, {"exp": "soon"}])
def test_another_pools_token_or_one_for_another_use_is_unauthorized(
    guarded: Emulator, key: rsa.RSAPrivateKey, changes: dict[str, Any]
) -> None:
    text = jwt.api_jws.encode(
        json.dumps({"iss": ISSUER, "token_use": "id", "exp": 4_000_000_000, **changes}).encode(),
        key,
        "RS256",
        {"kid": "one"},
    )
    refused(ask(guarded, "/prod/pool", text), 401, "Unauthorized", "UnauthorizedException")
    refused(guarded.get("/prod/pool"), 401, "Unauthorized", "UnauthorizedException")


def test_an_expired_token_is_called_expired(guarded: Emulator, key: rsa.RSAPrivateKey) -> None:
    answer = ask(guarded, "/prod/pool", token(key, exp=1))
    refused(answer, 401, "The incoming token has expired", "UnauthorizedException")


@pytest.mark.parametrize(("scope", "status"), [("school/learn other", 200), ("other", 401), ("", 401)])
def test_a_route_with_scopes_takes_access_tokens_that_have_one(
    guarded: Emulator, key: rsa.RSAPrivateKey, scope: str, status: int
) -> None:
    assert ask(guarded, "/prod/scoped", token(key, token_use="access", scope=scope)).status == status
    assert ask(guarded, "/prod/scoped", token(key, scope="school/learn")).status == 401


def test_what_cannot_be_asked_is_closed(guarded: Emulator, key: rsa.RSAPrivateKey) -> None:
    answer = ask(guarded, "/prod/closed", token(key))
    refused(answer, 403, "User is not authorized to access this resource", "AccessDeniedException")
    guarded.wait_for("the authorizer cannot be asked here: it is not part of this manifest")


def authorizer_of(tmp_path: Path, settings: str) -> Authorizer:
    """The authorizer of a route that has these settings, in a manifest with the functions `guard` and `other`."""
    (tmp_path / "serverless.yml").write_text(
        "service: s\nfunctions:\n  other: {handler: a.b}\n  guard: {handler: a.b}\n"
        f"  one: {{handler: a.b, events: [http: {{method: get, path: /, authorizer: {settings}}}]}}\n"
    )
    manifest = load(tmp_path / "serverless.yml", {})
    return manifest.authorizers[manifest.routes[0].authorizer or ""]


@pytest.mark.parametrize(
    ("settings", "kind", "sources", "ttl"),
    [
        ("guard", "TOKEN", ("method.request.header.Authorization",), 300),
        ("{name: guard, type: request}", "REQUEST", ("method.request.header.Authorization",), 300),
        ("{name: guard, type: REQUEST, resultTtlInSeconds: 0}", "REQUEST", (), 0),
        ("{name: guard, identitySource: method.request.header.X}", "TOKEN", ("method.request.header.X",), 300),
        ("{name: guard, type: custom}", "TOKEN", ("method.request.header.Authorization",), 300),
        ("arn:aws:lambda:us-east-1:1:function:s-dev-guard", "TOKEN", ("method.request.header.Authorization",), 300),
    ],
)
def test_the_frameworks_defaults(tmp_path: Path, settings: str, kind: str, sources: tuple[str, ...], ttl: int) -> None:
    found = authorizer_of(tmp_path, settings)
    assert isinstance(found, RestAuthorizer)
    assert (found.function.name, found.type, found.identity_source, found.ttl) == ("guard", kind, sources, ttl)


@pytest.mark.parametrize(
    "settings", ["arn:aws:lambda:us-east-1:1:function:elsewhere", "{arn: '${cf:stack.arn}', name: x}"]
)
def test_a_function_of_another_manifest_closes_the_route(tmp_path: Path, settings: str) -> None:
    assert isinstance(authorizer_of(tmp_path, settings), UnavailableAuthorizer)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("nobody", "there is no function 'nobody'"),
        ("{name: guard, identitySource: $request.header.X}", "is not like method.request.header.Authorization"),
        ("{name: guard, identityValidationExpression: '('}", "is no regular expression"),
        ("{name: guard, resultTtlInSeconds: 3601}", "from 0 to 3600"),
        ("{type: COGNITO_USER_POOLS, arn: pool}", "needs the ARN of a user pool"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(tmp_path: Path, settings: str, message: str) -> None:
    with pytest.raises(ManifestError, match=rf"serverless\.yml:5: .*{message}"):
        authorizer_of(tmp_path, settings)
