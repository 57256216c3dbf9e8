"""Which tokens are accepted, and why the others are not: forged ones, old ones, those of somebody else."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from shared import clock
from shared.config import Settings
from shared.errors import ConfigurationError, IdentityUnavailableError
from shared.identity import issuer_keys
from shared.identity.tokens import MAX_TOKEN_BYTES, TokenError, Verifier
from tests.conftest import Freeze
from tests.identity_provider import (
    AUDIENCE,
    SECRET,
    Issuer,
    claims,
    hs256,
    public_pem,
    published,
    rsa_key,
    running_issuer,
    unsigned,
)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A running issuer."""
    with running_issuer() as running:
        yield running


def verifier(issuer: Issuer, **changes: Any) -> Verifier:
    """A verifier of this issuer's tokens."""
    return Verifier(Settings(**{"issuers": issuer.url, "audiences": AUDIENCE} | changes))


def backend(**changes: Any) -> Verifier:
    """A verifier of a backend's own tokens."""
    return Verifier(Settings(**{"token_secrets": SECRET} | changes))


def refusal(verifier: Verifier, token: str) -> str:
    """Why a token is refused."""
    with pytest.raises(TokenError) as refused:
        verifier.claims(token)
    return str(refused.value)


def test_a_token_that_an_issuer_signed_is_accepted(issuer: Issuer) -> None:
    assert verifier(issuer).claims(issuer.token(sub="ann"))["sub"] == "ann"


def test_a_token_that_a_backend_signed_is_accepted() -> None:
    assert backend().claims(hs256(sub="ann"))["sub"] == "ann"


def test_each_of_several_secrets_is_accepted() -> None:
    rotated = f"{SECRET},another secret of the school's backend"
    tokens = [hs256(secret, sub="ann") for secret in rotated.split(",")]
    assert [backend(token_secrets=rotated).claims(token)["sub"] for token in tokens] == ["ann", "ann"]


def test_the_client_id_counts_where_there_is_no_audience(issuer: Issuer) -> None:
    assert verifier(issuer).claims(issuer.token(aud=None, client_id=AUDIENCE))["client_id"] == AUDIENCE


def test_one_of_several_audiences_is_enough(issuer: Issuer) -> None:
    assert verifier(issuer).claims(issuer.token(aud=["other", AUDIENCE]))["sub"] == "ms_noether"


ALGORITHM = "an algorithm that is not accepted"
SIGNATURE = "the signature is not by an accepted key"
ISSUER = "an issuer that is not accepted"
PAYLOAD = "a payload that is no JSON object"


def test_a_token_by_another_key_is_refused(issuer: Issuer) -> None:
    assert refusal(verifier(issuer), issuer.token(key=rsa_key("forger"))) == SIGNATURE


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "RS512", "ES256", "PS256", "HS384", None, 7, []])
def test_any_other_algorithm_is_refused(issuer: Issuer, algorithm: Any) -> None:
    forged = unsigned({"alg": algorithm, "kid": "first", "typ": "JWT"}, json.dumps(claims(iss=issuer.url)))
    assert refusal(verifier(issuer, token_secrets=SECRET), forged) == ALGORITHM


@pytest.mark.parametrize("secrets", ["", SECRET], ids=["no secrets", "secrets"])
def test_a_public_key_used_as_a_secret_is_refused(issuer: Issuer, secrets: str) -> None:
    head, body, _ = unsigned({"alg": "HS256", "kid": "first"}, json.dumps(claims(iss=issuer.url))).split(".")
    mac = hmac.new(public_pem(rsa_key("first")), f"{head}.{body}".encode(), hashlib.sha256).digest()
    forged = f"{head}.{body}.{unsigned({}, '', mac).split('.')[2]}"
    assert refusal(verifier(issuer, token_secrets=secrets), forged) in (ALGORITHM, SIGNATURE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": None}, "exp is missing or no time"),
        ({"exp": "tomorrow"}, "exp is missing or no time"),
        ({"exp": True}, "exp is missing or no time"),
        ({"iss": "https://other.example"}, ISSUER),
        ({"iss": None}, ISSUER),
        ({"aud": "another service"}, "for another audience"),
        ({"aud": None}, "for another audience"),
        ({"aud": None, "client_id": "another client"}, "for another audience"),
        ({"aud": ["another service"], "client_id": AUDIENCE}, "for another audience"),
    ],
)
def test_a_claim_that_is_wrong_refuses_the_token(issuer: Issuer, changes: dict[str, Any], reason: str) -> None:
    assert refusal(verifier(issuer), issuer.token(**changes)) == reason


@pytest.mark.parametrize("suffix", ["/", "/.", "?", "#", " ", "\n", "x"])
def test_an_issuer_is_compared_exactly(issuer: Issuer, suffix: str) -> None:
    assert refusal(verifier(issuer), issuer.token(iss=issuer.url + suffix)) == ISSUER


@pytest.mark.parametrize(
    ("claim", "seconds", "reason"),
    [
        ("exp", 1, None),
        ("exp", 0, "expired"),
        ("exp", -1, "expired"),
        ("nbf", 60, None),
        ("nbf", 61, "not valid yet"),
        ("iat", 60, None),
        ("iat", 61, "not valid yet"),
    ],
)
def test_times_have_their_limits(freeze: Freeze, claim: str, seconds: int, reason: str | None) -> None:
    freeze("2026-11-22 08:00:00")
    moment: Any = {claim: clock.unix_milliseconds() // 1000 + seconds}
    token = hs256(**moment)
    assert (refusal(backend(), token) if reason else backend().claims(token)["sub"]) == (reason or "ms_noether")


@pytest.mark.parametrize("kid", [None, "", "third", "../../etc/passwd", "first\x00", "http://127.0.0.1/keys"])
def test_a_key_id_that_is_not_published_is_refused(issuer: Issuer, kid: str | None) -> None:
    assert "key" in refusal(verifier(issuer), issuer.token(kid, rsa_key("first")))


def test_a_key_id_is_never_an_address(issuer: Issuer) -> None:
    refusal(verifier(issuer), issuer.token("/elsewhere", rsa_key("first")))
    assert set(issuer.asked) == {"/.well-known/openid-configuration", "/keys"}


@pytest.mark.parametrize(
    ("header", "payload", "reason"),
    [
        ({}, '{"exp": 1, "exp": 99999999999}', PAYLOAD + ", or names something twice"),
        ({}, "eyJhbGciOiJub25lIn0.e30.", PAYLOAD + ", or names something twice"),
        ({}, "[]", PAYLOAD),
        ({}, "[" * 5000, PAYLOAD + ", or names something twice"),
        ({}, '{"exp": 1e999}', "exp is missing or no time"),
        ({}, '{"exp": NaN}', "exp is missing or no time"),
        ({"b64": False}, "{}", "a header parameter that is not supported"),
        ({"crit": ["exp"]}, "{}", "a header parameter that is not supported"),
    ],
)
def test_what_is_no_plain_token_is_refused(issuer: Issuer, header: dict[str, Any], payload: str, reason: str) -> None:
    forged = unsigned({"alg": "RS256", "kid": "first"} | header, payload)
    assert refusal(verifier(issuer), forged) == reason


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b", "a.b.c.d", "\u00e9.\u00e9.\u00e9", "a b.c.d", "\ud800.a.b", "a.b.c.d.e"]
)
def test_what_is_no_token_at_all_is_refused(issuer: Issuer, token: str) -> None:
    assert refusal(verifier(issuer), token)


@pytest.mark.parametrize("signature", ["\ud800", "\u00e9", "", "*", " ", "\n"])
def test_a_signature_is_plain_text(signature: str) -> None:
    assert refusal(backend(), hs256().rpartition(".")[0] + "." + signature)


def signed(header: str, payload: str) -> str:
    """A token that a backend signed, of any text."""
    text = ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in (header, payload))
    mac = hmac.digest(SECRET.encode(), text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


@pytest.mark.parametrize(
    ("header", "payload", "part"),
    [
        ('{"alg": "none", "alg": "HS256"}', '{"sub": "ann", "exp": 99999999999}', "header"),
        ('{"alg": "HS256"}', '{"sub": "ann", "sub": "ms_noether", "exp": 99999999999}', "payload"),
        ('{"alg": "HS256"}', '{"sub": "ann", "exp": 99999999999, "x": {"y": 1, "y": 2}}', "payload"),
        ('{"alg": "HS256", "cty": "JWT"}', hs256(), "payload"),
        ('{"alg": "HS256", "cty": "JWT"}', json.dumps(hs256()), "payload"),
    ],
    ids=["two algorithms", "two users", "two of a name inside", "a token", "a token as JSON"],
)
def test_what_a_backend_signed_is_one_plain_object(header: str, payload: str, part: str) -> None:
    assert backend().claims(signed('{"alg": "HS256"}', '{"sub": "ann", "exp": 99999999999}'))["sub"] == "ann"
    assert f"a {part} that is no JSON object" in refusal(backend(), signed(header, payload))


RFC_PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
RFC_HS256 = f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{RFC_PAYLOAD}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
"""RFC 7515, appendix A.1."""

RFC_SECRET = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
RFC_UNSECURED = f"eyJhbGciOiJub25lIn0.{RFC_PAYLOAD}."
"""RFC 7515, appendix A.5."""


def test_the_standards_token_is_read_as_the_standard_says(freeze: Freeze, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, verify = freeze("2011-03-22 18:42:59"), backend()
    monkeypatch.setattr(verify, "_secrets", (base64.urlsafe_b64decode(RFC_SECRET + "=="),))  # no text has these bytes
    assert verify.claims(RFC_HS256) == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}
    assert refusal(verify, RFC_UNSECURED) == ALGORITHM
    clock.tick(1)
    assert refusal(verify, RFC_HS256) == "expired"


def test_a_long_token_is_refused_unread(issuer: Issuer) -> None:
    began = time.thread_time()
    assert refusal(verifier(issuer), "x" * 1_000_000) == f"longer than {MAX_TOKEN_BYTES} bytes"
    assert (time.thread_time() - began < 1, issuer.asked) == (True, [])


def test_no_reason_quotes_the_token(issuer: Issuer) -> None:
    assert "secret-user" not in refusal(verifier(issuer), issuer.token(key=rsa_key("forger"), sub="secret-user"))


def test_a_rotated_key_is_found(issuer: Issuer, freeze_elapsed: "Elapsed") -> None:
    verify = verifier(issuer)
    verify.claims(issuer.token())
    issuer.keys = {"second": rsa_key("second")}
    freeze_elapsed.pass_seconds(61)
    assert verify.claims(issuer.token("second"))["sub"] == "ms_noether"


def test_an_unknown_key_asks_the_issuer_at_most_once_a_minute(issuer: Issuer, freeze_elapsed: "Elapsed") -> None:
    verify = verifier(issuer)
    for _ in range(20):
        refusal(verify, issuer.token("third", rsa_key("first")))
    freeze_elapsed.pass_seconds(61)
    refusal(verify, issuer.token("third", rsa_key("first")))
    assert issuer.asked.count("/keys") == 2


def test_keys_are_kept_for_an_hour(issuer: Issuer, freeze_elapsed: "Elapsed") -> None:
    verify = verifier(issuer)
    for seconds in (0, 3599, 2):
        freeze_elapsed.pass_seconds(seconds)
        verify.claims(issuer.token())
    assert issuer.asked.count("/keys") == 2


def test_known_keys_are_used_while_the_issuer_is_down(issuer: Issuer, freeze_elapsed: "Elapsed") -> None:
    verify, token = verifier(issuer), issuer.token(exp=clock.unix_milliseconds() // 1000 + 100_000)
    verify.claims(token)
    issuer.close()
    freeze_elapsed.pass_seconds(7200)
    assert verify.claims(token)["sub"] == "ms_noether"


def test_an_issuer_that_is_down_makes_tokens_unverifiable(issuer: Issuer) -> None:
    token = issuer.token()
    issuer.close()
    with pytest.raises(IdentityUnavailableError):
        verifier(issuer).claims(token)


def test_an_issuer_that_comes_back_is_asked_again_soon(issuer: Issuer, freeze_elapsed: "Elapsed") -> None:
    verify, issuer.answer = verifier(issuer), lambda _: b"down"
    with pytest.raises(IdentityUnavailableError):
        verify.claims(issuer.token())
    issuer.answer = issuer.described
    freeze_elapsed.pass_seconds(6)
    assert verify.claims(issuer.token())["sub"] == "ms_noether"


def test_a_slow_issuer_is_given_up_in_time(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_keys, "_FETCH", 0.1)
    released = threading.Event()
    issuer.answer = lambda _: {"released": released.wait(20)}
    with pytest.raises(IdentityUnavailableError):
        verifier(issuer).claims(issuer.token())
    released.set()


def lies(issuer: Issuer, path: str, **changes: Any) -> Any:
    """The issuer's configuration with something wrong in it."""
    described = issuer.described(path)
    return described | changes if "issuer" in described else described


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://other.example"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://192.0.2.1/keys"},
        {"jwks_uri": 7},
        {"jwks_uri": None},
    ],
)
def test_an_issuer_that_lies_is_not_believed(issuer: Issuer, changes: dict[str, Any]) -> None:
    issuer.answer = lambda path: lies(issuer, path, **changes)
    with pytest.raises(IdentityUnavailableError):
        verifier(issuer).claims(issuer.token())


@pytest.mark.parametrize("answer", [b"", b"[]", b"7", b"{", b"[" * 100_000, b'"' + b"x" * 2_000_000 + b'"', b"\xff"])
def test_an_issuer_that_answers_nonsense_is_unavailable(issuer: Issuer, answer: bytes) -> None:
    issuer.answer = lambda _: answer
    with pytest.raises(IdentityUnavailableError):
        verifier(issuer).claims(issuer.token())


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "first"},
        published("first", rsa_key("first"), use="enc"),
        published("first", rsa_key("first"), alg="RS512"),
        published("first", rsa_key("short", 1024)),
        {"kty": "RSA", "kid": "first"},
        {"kid": "first"},
        "first",
    ],
    ids=["secret", "for encryption", "for RS512", "too short", "incomplete", "no kind", "text"],
)
def test_a_key_that_cannot_be_used_is_skipped(issuer: Issuer, key: Any) -> None:
    issuer.answer = lambda path: {"keys": [key]} if path == "/keys" else issuer.described(path)
    assert refusal(verifier(issuer), issuer.token()) == "a key that its issuer does not publish"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, "SWITCHBOARD_ISSUERS"),
        ({"issuers": "https://issuer.example"}, "SWITCHBOARD_AUDIENCES"),
        ({"issuers": "HTTPS://issuer.example", "token_secrets": SECRET}, "SWITCHBOARD_AUDIENCES"),
        ({"token_secrets": "short"}, "SWITCHBOARD_TOKEN_SECRETS"),
    ],
)
def test_settings_that_verify_nothing_or_too_much_are_refused(changes: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Verifier(Settings(**changes))  # type: ignore[arg-type]


def test_a_backend_that_names_issuers_must_be_one_of_them() -> None:
    assert backend(issuers="school").claims(hs256())["iss"] == "school"
    assert refusal(backend(issuers="school"), hs256(iss=None)) == ISSUER


class Elapsed:
    """Time that passes at once for deadlines."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def pass_seconds(self, seconds: float) -> None:
        """Let so much time pass."""
        self.ahead += seconds


@pytest.fixture
def freeze_elapsed(monkeypatch: pytest.MonkeyPatch) -> Elapsed:
    """The monotonic clock, moved on as the test says."""
    moved, real = Elapsed(), clock.elapsed
    monkeypatch.setattr(clock, "elapsed", lambda: real() + moved.ahead)
    return moved
