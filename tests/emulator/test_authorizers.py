"""Lambda authorizers and JWT authorizers: who gets in, and what the function is told."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from emulator.gateway.authorization import expiring_cache
from emulator.gateway.authorization.expiring_cache import ExpiringCache
from tests.emulator.harness import ROOT, Emulator, running, write_service
from tests.emulator.issuer import publishing

MANIFEST = """
service: guarded
provider:
  name: aws
  region: eu-west-1
  httpApi:
    authorizers:
      simple:
        type: request
        functionName: guard
        identitySource: [$request.header.Authorization]
        enableSimpleResponses: true
      policy:
        type: request
        functionName: guard
        identitySource: [$request.header.Authorization, $request.querystring.room]
      kept:
        type: request
        functionName: guard
        identitySource: $request.header.Authorization
        enableSimpleResponses: true
        resultTtlInSeconds: 60
      old: {type: request, functionName: guard, payloadVersion: '1.0', identitySource: $request.header.Authorization}
      token: {issuerUrl: "${env:ISSUER}", audience: [school, other], identitySource: $request.header.Authorization}
functions:
  guard: {handler: app.guard, timeout: 1}
  echo:
    handler: app.echo
    events:
      - httpApi: {method: GET, path: "/simple/{room}", authorizer: {name: simple}}
      - httpApi: {method: GET, path: /policy, authorizer: {name: policy}}
      - httpApi: {method: GET, path: /kept, authorizer: {name: kept}}
      - httpApi: {method: POST, path: /token, authorizer: {name: token}}
      - httpApi: {method: GET, path: "/old/{room}", authorizer: {name: old}}
      - httpApi: {method: GET, path: /scoped, authorizer: {name: token, scopes: [teach, learn]}}
  flat:
    handler: app.flat
    httpApi: {payload: '1.0'}
    events:
      - httpApi: {method: GET, path: /flat/context, authorizer: {name: policy}}
      - httpApi: {method: GET, path: /flat/claims, authorizer: {name: token}}
"""
APP = """
import json, time
calls = 0
def guard(event, context):
    global calls
    calls += 1
    order = json.loads(event["headers"].get("authorization") or event["headers"]["Authorization"])
    if order == "raise":
        raise RuntimeError("cannot tell")
    if order == "sleep":
        time.sleep(3)  # longer than its time-out
    text = json.dumps(order).replace("ARN", event.get("routeArn") or event["methodArn"])
    return {**json.loads(text), "context": {"calls": calls, "event": event}} if isinstance(order, dict) else order
def flat(event, context):
    return {"statusCode": 200, "body": json.dumps(event["requestContext"]["authorizer"])}
def echo(event, context):
    return {"authorizer": event["requestContext"]["authorizer"], "body": event.get("body")}
"""

EC_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def issuer(key: rsa.RSAPrivateKey) -> Iterator[str]:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    keys = [
        {**public, "use": "sig"},
        {"kid": "malformed", "kty": "RSA", "n": 5},
        "no key",
        {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key())), "kid": "curve"},
        {**public, "kid": "encryption", "use": "enc"},
        {**public, "kid": "pinned", "alg": "RS512"},
        {**public, "kid": "one", "use": "sig"},
    ]
    with publishing(keys) as url:
        yield url


@pytest.fixture(scope="module")
def guarded(issuer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder: Path = write_service(tmp_path_factory.mktemp("guarded") / "service", MANIFEST, app=APP)
    with running(folder, env={"ISSUER": issuer}) as started:
        yield started


def policy(effect: str, resource: Any, action: Any = "execute-api:Invoke") -> dict[str, Any]:
    statement = {"Action": action, "Effect": effect, "Resource": resource}
    return {"principalId": "pupil", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}


def ask(guarded: Emulator, path: str, order: Any) -> Any:
    return guarded.get(path, ("Authorization", json.dumps(order)))


def test_a_simple_answer_lets_in_and_its_context_arrives(guarded: Emulator) -> None:
    answer = ask(guarded, "/simple/a%20b?x=1", {"isAuthorized": True})
    assert answer.status == 200
    event = answer.json["authorizer"]["lambda"]["event"]
    assert (event["version"], event["type"], event["routeKey"]) == ("2.0", "REQUEST", "GET /simple/{room}")
    assert event["routeArn"] == "arn:aws:execute-api:eu-west-1:123456789012:local/$default/GET/simple/a b"
    assert event["identitySource"] == ['{"isAuthorized": true}']
    assert (event["queryStringParameters"], event["pathParameters"]) == ({"x": "1"}, {"room": "a b"})
    assert event["requestContext"]["http"]["method"] == "GET"
    assert "body" not in event
    assert "isBase64Encoded" not in event


def test_no_identity_is_unauthorized_and_the_function_is_not_called(guarded: Emulator) -> None:
    before = ask(guarded, "/simple/a", {"isAuthorized": True}).json["authorizer"]["lambda"]["calls"]
    answer = guarded.get("/simple/a")
    assert (answer.status, answer.json) == (401, {"message": "Unauthorized"})
    assert ask(guarded, "/policy", policy("Allow", "*")).status == 401  # the second source is missing
    after = ask(guarded, "/simple/a", {"isAuthorized": True}).json["authorizer"]["lambda"]["calls"]
    assert after == before + 1


@pytest.mark.parametrize(
    ("path", "order", "status"),
    [
        ("/simple/a", {"isAuthorized": False}, 403),
        ("/simple/a", {"isAuthorized": "yes"}, 500),
        ("/simple/a", {}, 500),
        ("/simple/a", [], 500),
        ("/simple/a", "raise", 500),
        ("/simple/a", "sleep", 500),
        ("/simple/a", policy("Allow", "*"), 500),
        ("/policy?room=1", policy("Allow", "*"), 200),
        ("/policy?room=1", policy("Allow", "ARN"), 200),
        ("/policy?room=1", policy("Allow", ["nothing", "arn:aws:execute-api:*/GET/poli?y"]), 200),
        ("/policy?room=1", policy("Allow", "arn:aws:execute-api:*/GET/other"), 403),
        ("/policy?room=1", policy("Allow", "*", "s3:*"), 403),
        ("/policy?room=1", policy("Allow", "*", ["execute-api:*"]), 200),
        ("/policy?room=1", policy("Deny", "*"), 403),
        ("/policy?room=1", {"isAuthorized": True}, 500),
    ],
)
def test_verdicts(guarded: Emulator, path: str, order: Any, status: int) -> None:
    assert ask(guarded, path, order).status == status


def test_a_deny_outweighs_an_allow(guarded: Emulator) -> None:
    order = policy("Allow", "*")
    order["policyDocument"]["Statement"].append({"Action": "*", "Effect": "Deny", "Resource": "*"})
    assert ask(guarded, "/policy?room=1", order).status == 403


def test_an_answer_is_remembered_only_when_the_manifest_says_so(guarded: Emulator) -> None:
    order = {"isAuthorized": True, "kept": 1}
    calls = [ask(guarded, "/kept", order).json["authorizer"]["lambda"]["calls"] for _ in range(2)]
    assert calls[0] == calls[1]
    calls = [ask(guarded, "/simple/a", order).json["authorizer"]["lambda"]["calls"] for _ in range(2)]
    assert calls[0] + 1 == calls[1]


def test_a_malformed_answer_is_never_remembered(guarded: Emulator) -> None:
    order = {"isAuthorized": "yes", "which": "malformed"}
    before = ask(guarded, "/simple/a", {"isAuthorized": True}).json["authorizer"]["lambda"]["calls"]
    assert [ask(guarded, "/kept", order).status for _ in range(2)] == [500, 500]
    after = ask(guarded, "/simple/a", {"isAuthorized": True}).json["authorizer"]["lambda"]["calls"]
    assert after == before + 3


@pytest.mark.parametrize("extra", [{"Condition": {}}, {"NotAction": "*"}, {"Principal": "*"}])
def test_a_statement_with_what_is_not_emulated_allows_nothing(guarded: Emulator, extra: dict[str, Any]) -> None:
    order = policy("Allow", "*")
    order["policyDocument"]["Statement"][0] |= extra
    assert ask(guarded, "/policy?room=1", order).status == 403


def test_an_authorizer_of_format_1_0_gets_the_event_of_that_format(guarded: Emulator) -> None:
    order = policy("Allow", "*")
    event = ask(guarded, "/old/a%20b?x=1&x=2", order).json["authorizer"]["lambda"]["event"]
    headers, context = event.pop("headers"), event.pop("requestContext")
    assert headers["Authorization"] == json.dumps(order)
    assert context["identity"]["sourceIp"] == "127.0.0.1"
    assert (context["resourceId"], context["resourcePath"]) == ("GET /old/{room}", "/old/{room}")
    assert event == {
        "version": "1.0",
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:eu-west-1:123456789012:local/$default/GET/old/a b",
        "identitySource": json.dumps(order),
        "authorizationToken": json.dumps(order),
        "resource": "/old/{room}",
        "path": "/old/a b",
        "httpMethod": "GET",
        "queryStringParameters": {"x": "2"},
        "pathParameters": {"room": "a b"},
        "stageVariables": {},
    }


def test_a_function_of_format_1_0_has_the_context_beside_the_principal(guarded: Emulator) -> None:
    found = ask(guarded, "/flat/context?room=1", policy("Allow", "*")).json
    assert found["principalId"] == "pupil"
    assert found["calls"] > 0
    assert found["claims"] is found["scopes"] is None


def test_a_function_of_format_1_0_has_the_claims_without_jwt_around_them(
    guarded: Emulator, issuer: str, key: rsa.RSAPrivateKey
) -> None:
    token = jwt.encode(claims(issuer), key, "RS256", {"kid": "one"})
    found = guarded.get("/flat/claims", bearer(token)).json
    assert (found["claims"]["sub"], found["scopes"]) == ("7", None)


def claims(issuer: str, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {"iss": issuer, "aud": "school", "exp": now + 60, "nbf": now - 60, "iat": now - 60, "sub": "7"}
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def bearer(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


def test_a_good_token_gets_in_and_its_claims_arrive_as_strings(
    guarded: Emulator, issuer: str, key: rsa.RSAPrivateKey
) -> None:
    school = {"rooms": [1, 2.5], "city": "Bern", "closed": None}
    told = claims(issuer, aud=["x", "other"], admin=True, groups=["a", "b"], level=3, school=school)
    told["nothing"] = None
    token = jwt.encode(told, key, "RS256", {"kid": "one"})
    answer = guarded.request("POST", "/token", b"hello", [bearer(token)])
    assert answer.status == 200
    found = answer.json["authorizer"]["jwt"]
    assert found["scopes"] is None
    expected = {"sub": "7", "admin": "true", "groups": "[a b]", "level": "3", "aud": "[x other]", "iss": issuer}
    expected["school"] = "map[city:Bern closed:<nil> rooms:[1 2.5]]"
    assert {name: found["claims"][name] for name in expected} == expected
    assert found["claims"]["exp"] == str(told["exp"])
    assert "nothing" not in found["claims"]
    assert answer.json["body"] == "hello"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": 4_000_000_000},
        {"aud": "elsewhere"},
        {"aud": None},
        {"iss": "https://elsewhere.example"},
    ],
)
def test_a_token_with_a_wrong_claim_stays_out(
    guarded: Emulator, issuer: str, key: rsa.RSAPrivateKey, changes: dict[str, Any]
) -> None:
    token = jwt.api_jws.encode(json.dumps(claims(issuer, **changes)).encode(), key, "RS256", {"kid": "one"})
    answer = guarded.request("POST", "/token", b"", [bearer(token)])
    assert (answer.status, answer.json) == (401, {"message": "Unauthorized"})
    assert (answer.header("www-authenticate") or "").startswith("Bearer")


def signed_by_hand(header: dict[str, Any], body: dict[str, Any], key: rsa.RSAPrivateKey) -> str:
    """A token with an RS256 signature, whatever its header says."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, body)]
    signature = key.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_a_token_signed_by_hand_gets_in_when_it_says_so(guarded: Emulator, issuer: str, key: rsa.RSAPrivateKey) -> None:
    token = signed_by_hand({"alg": "RS256", "kid": "one"}, claims(issuer), key)
    assert guarded.request("POST", "/token", b"", [bearer(token)]).status == 200


def test_a_forged_token_stays_out(guarded: Emulator, issuer: str, key: rsa.RSAPrivateKey) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = jwt.encode(claims(issuer), key, "RS256", {"kid": "one"})
    head, body, signature = good.split(".")
    secret = "x" * 32
    forged = [
        jwt.encode(claims(issuer), other, "RS256", {"kid": "one"}),
        jwt.encode(claims(issuer), key, "RS256", {"kid": "unknown"}),
        jwt.encode(claims(issuer), key, "RS256"),
        jwt.encode(claims(issuer), None, "none"),  # type: ignore[arg-type]
        jwt.encode(claims(issuer), secret, "HS256", {"kid": "one"}),
        signed_by_hand({"alg": "RS512", "kid": "one"}, claims(issuer), key),
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}.{body[:-2]}AA.{signature}",
        "a.b.c",
        "...",
    ]
    for token in forged:
        assert guarded.request("POST", "/token", b"", [bearer(token)]).status == 401, token
    assert guarded.request("POST", "/token", b"").status == 401
    assert guarded.request("POST", "/token", b"", [("Authorization", good)]).status == 200


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_every_algorithm_with_rsa_is_accepted(
    guarded: Emulator, issuer: str, key: rsa.RSAPrivateKey, algorithm: str
) -> None:
    token = jwt.encode(claims(issuer), key, algorithm, {"kid": "one"})
    assert guarded.request("POST", "/token", b"", [bearer(token)]).status == 200


def test_elliptic_curves_are_refused_as_api_gateway_refuses_them(guarded: Emulator, issuer: str) -> None:
    token = jwt.encode(claims(issuer), EC_KEY, "ES256", {"kid": "curve"})
    answer = guarded.request("POST", "/token", b"", [bearer(token)])
    assert answer.status == 401
    assert "the algorithm 'ES256' is not among RS256" in (answer.header("www-authenticate") or "")


@pytest.mark.parametrize(
    ("kid", "algorithm", "status"), [("pinned", "RS512", 200), ("pinned", "RS256", 401), ("encryption", "RS256", 401)]
)
def test_a_key_is_good_for_what_its_issuer_says(
    guarded: Emulator, issuer: str, key: rsa.RSAPrivateKey, kid: str, algorithm: str, status: int
) -> None:
    token = jwt.encode(claims(issuer), key, algorithm, {"kid": kid})
    assert guarded.request("POST", "/token", b"", [bearer(token)]).status == status


def test_a_key_id_from_a_token_cannot_leave_the_challenges_quotes(
    guarded: Emulator, issuer: str, key: rsa.RSAPrivateKey
) -> None:
    token = jwt.encode(claims(issuer), key, "RS256", {"kid": 'x", error="none'})
    challenge = guarded.request("POST", "/token", b"", [bearer(token)]).header("www-authenticate") or ""
    assert challenge.count('"') == 6


def test_client_id_counts_where_a_token_has_no_audience(guarded: Emulator, issuer: str, key: rsa.RSAPrivateKey) -> None:
    for told, status in (({"client_id": "other"}, 200), ({"client_id": "elsewhere"}, 401)):
        token = jwt.encode(claims(issuer, aud=None, **told), key, "RS256", {"kid": "one"})
        assert guarded.request("POST", "/token", b"", [bearer(token)]).status == status


def test_tokens_cost_no_import_where_no_authorizer_checks_them() -> None:
    code = "import sys, emulator.cli.serve; print([name for name in ('jwt', 'cryptography') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stdout == b"[]\n"


def test_expired_answers_leave_the_memory_and_a_repeated_one_counts_anew() -> None:
    now = 0.0
    cache: ExpiringCache[str, int] = ExpiringCache(10, lambda: now)
    cache.put("a", 1)
    now = 6.0
    cache.put("b", 2)
    cache.put("a", 3)
    now = 15.9
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (3, 2, None)
    now = 16.0
    assert (cache.get("a"), len(cache)) == (None, 2)
    cache.put("d", 4)
    assert (cache.get("d"), len(cache)) == (4, 1)


def test_the_oldest_answers_beyond_the_limit_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiring_cache, "LIMIT", 2)
    cache: ExpiringCache[str, int] = ExpiringCache(10, lambda: 0.0)
    for number, name in enumerate("abc"):
        cache.put(name, number)
    assert (cache.get("a"), cache.get("b"), cache.get("c"), len(cache)) == (None, 1, 2, 2)


@pytest.mark.parametrize(("scope", "status"), [("read learn", 200), (["teach"], 200), ("read", 403), (None, 403)])
def test_one_of_the_routes_scopes_is_enough(
    guarded: Emulator, issuer: str, key: rsa.RSAPrivateKey, scope: Any, status: int
) -> None:
    token = jwt.encode(claims(issuer, scope=scope), key, "RS256", {"kid": "one"})
    assert guarded.get("/scoped", bearer(token)).status == status
