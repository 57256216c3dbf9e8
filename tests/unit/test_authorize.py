"""The authorizer: the token that each kind of API hands over, and the answer that each of them understands."""

import base64
import json
import logging
from typing import Any

import pytest

from functions.authorize import handler
from shared.errors import ConfigurationError
from tests.conftest import Json, golden
from tests.identity_provider import AUDIENCE, SECRET, hs256, rsa_key, running_issuer

BY_POLICY = ("websocket", "rest_token", "rest_request")
ANN = {"user_id": "ann", "role": "student"}


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers are verified, by tokens of a school's own backend."""
    monkeypatch.setenv("SWITCHBOARD_IDENTITY", "claims")
    monkeypatch.setenv("SWITCHBOARD_TOKEN_SECRETS", SECRET)


def sent(kind: str, authorization: str | None, query: Json | None = None) -> Json:
    """The event of this kind of API for a request with this `Authorization` header, or without one."""
    made = golden(f"authorize/{kind}")
    if kind == "rest_token":
        return made | {"authorizationToken": authorization}
    name = next(name for name in made["headers"] if name.lower() == "authorization")
    del made["headers"][name]
    if authorization is not None:
        made["headers"][name] = authorization
    return made | ({} if query is None else {"queryStringParameters": query})


def bearer(**claims: Any) -> str:
    """An `Authorization` header of ann, a student."""
    return f"Bearer {hs256(**{'sub': 'ann', 'roles': []} | claims)}"


def basic(credentials: str) -> str:
    """The same by user and password."""
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"


def policy(event: Json) -> Json:
    """The policy that lets this one request pass."""
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]}
    return {"Version": "2012-10-17", "Statement": [statement]}


def is_refused(event: Json) -> bool:
    """Whether the answer to an event is its API's refusal."""
    if "methodArn" not in event:
        return bool(handler(event, None) == {"isAuthorized": False})
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        handler(event, None)
    return True


def test_an_http_api_gets_a_simple_answer() -> None:
    assert handler(sent("http_api", bearer()), None) == {"isAuthorized": True, "context": ANN}


@pytest.mark.parametrize("kind", BY_POLICY)
def test_every_other_api_gets_a_policy_for_this_request_alone(kind: str) -> None:
    event = sent(kind, bearer())
    assert handler(event, None) == {"principalId": "ann", "policyDocument": policy(event), "context": ANN}


@pytest.mark.parametrize("kind", ["http_api", *BY_POLICY])
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer a.b.c", "Token x", "\ud800", "Bearer \ud800"]
)
def test_without_a_good_token_every_api_refuses(kind: str, header: str | None) -> None:
    assert is_refused(sent(kind, header))


@pytest.mark.parametrize("kind", ["http_api", *BY_POLICY])
def test_a_signature_with_a_character_that_has_no_utf8_is_refused(kind: str) -> None:
    assert is_refused(sent(kind, bearer() + "\ud800"))


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", " Bearer"])
def test_the_scheme_has_no_case(scheme: str) -> None:
    assert handler(sent("http_api", bearer().replace("Bearer", scheme)), None)["isAuthorized"]


def test_two_tokens_in_one_header_are_none() -> None:
    assert is_refused(sent("http_api", f"{bearer()},{bearer()}"))


def test_a_handshake_may_bring_its_token_as_a_password() -> None:
    assert handler(sent("websocket", basic(f"user:{bearer()[7:]}")), None)["context"] == ANN


def test_a_handshake_may_bring_its_token_in_the_query() -> None:
    assert handler(sent("websocket", None, {"token": bearer()[7:]}), None)["context"] == ANN


@pytest.mark.parametrize("credentials", ["", "ann", "ann:", "ann:password", "\u00e9:\u00e9"])
def test_a_password_that_is_no_token_is_refused(credentials: str) -> None:
    assert is_refused(sent("websocket", basic(credentials)))


@pytest.mark.parametrize("header", ["Basic", "Basic ***", "Basic YQ"])
def test_credentials_that_are_not_base64_are_refused(header: str) -> None:
    assert is_refused(sent("websocket", header))


@pytest.mark.parametrize("header", ["Bearer a.b.c", "Token x", basic("ann:password")])
def test_a_header_goes_before_the_query(header: str) -> None:
    assert is_refused(sent("websocket", header, {"token": bearer()[7:]}))


@pytest.mark.parametrize("kind", ["http_api", "rest_request"])
def test_an_address_brings_no_token_to_a_route(kind: str) -> None:
    assert is_refused(sent(kind, None, {"token": bearer()[7:]}))


@pytest.mark.parametrize("kind", ["http_api", "rest_token", "rest_request"])
def test_a_password_brings_no_token_to_a_route(kind: str) -> None:
    assert is_refused(sent(kind, basic(f"user:{bearer()[7:]}")))


def test_a_token_without_a_user_is_refused() -> None:
    assert is_refused(sent("http_api", bearer(sub=None)))


def test_a_name_that_is_no_user_id_is_handed_on_as_its_hash() -> None:
    answer = handler(sent("websocket", bearer(sub="ann@school.example")), None)
    assert answer["principalId"] == answer["context"]["user_id"] == "u-" + answer["principalId"][2:]
    assert len(answer["principalId"]) == 45


@pytest.mark.parametrize("header", [None, "Bearer a.b.c"])
def test_under_trust_everybody_passes_without_a_caller(monkeypatch: pytest.MonkeyPatch, header: str | None) -> None:
    monkeypatch.setenv("SWITCHBOARD_IDENTITY", "trust")
    event = sent("websocket", header)
    assert handler(event, None) == {"principalId": "anybody", "policyDocument": policy(event), "context": {}}
    assert handler(sent("http_api", header), None) == {"isAuthorized": True, "context": {}}


@pytest.mark.parametrize("kind", ["http_api", *BY_POLICY])
def test_an_issuer_that_is_down_is_told_to_the_function(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_issuer() as issuer:
        token = issuer.token()
    monkeypatch.setenv("SWITCHBOARD_ISSUERS", issuer.url)
    monkeypatch.setenv("SWITCHBOARD_AUDIENCES", AUDIENCE)
    assert handler(sent(kind, f"Bearer {token}"), None)["context"] == {"identity_unavailable": "true"}


def test_settings_that_accept_nothing_authorize_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWITCHBOARD_TOKEN_SECRETS")
    with pytest.raises(ConfigurationError):
        handler(sent("http_api", bearer()), None)


@pytest.mark.parametrize("changes", [{}, {"exp": 1}, {"sub": None}, {"iss": "private-issuer"}])
def test_no_log_has_a_token_or_a_claim(changes: Json, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    header = bearer(**{"email": "private@school.example"} | changes)
    handler(sent("http_api", header), None)
    assert not [part for part in [*header.removeprefix("Bearer ").split("."), "private"] if part in caplog.text]


@pytest.mark.parametrize("kid", ["first", "private-key"])
def test_no_log_has_what_an_issuer_signed(
    kid: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    with running_issuer() as issuer:
        monkeypatch.setenv("SWITCHBOARD_ISSUERS", issuer.url)
        monkeypatch.setenv("SWITCHBOARD_AUDIENCES", AUDIENCE)
        token = issuer.token(kid, rsa_key("first"), sub="private-user")
        assert handler(sent("http_api", f"Bearer {token}"), None)["isAuthorized"] == (kid == "first")
    assert not [part for part in [*token.split("."), "private"] if part in caplog.text]


def test_why_a_token_is_refused_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    handler(sent("http_api", bearer(exp=1)), None)
    assert caplog.messages == ["refused a token: expired"]


def test_an_answer_is_json() -> None:
    assert json.loads(json.dumps(handler(sent("websocket", bearer()), None)))["context"] == ANN
