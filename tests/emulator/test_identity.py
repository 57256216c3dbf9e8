"""The service with verified callers, over HTTP: the gateway, the authorizers and the functions together."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.emulator.harness import ROOT, Answer, Emulator, running
from tests.identity_provider import SECRET, claims, hs256, rsa_key

RUNTIMES = ("workers", "ric", "inline")
SESSION = {"name": "Fractions", "student_ids": ["ann", "bob"]}


class VerifiedService:
    """The service in an emulator, and tokens for its callers."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def token(self, user: str, role: str) -> str:
        """A token of the emulator's own issuer, as the command prints it."""
        command = [sys.executable, "-m", "emulator", "token", user, "--role", role, "--port", str(self.emulator.port)]
        printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        return printed.stdout.strip()

    def ask(self, token: str | None, method: str, path: str, body: Any = None) -> Answer:
        """One request of whoever has the token."""
        headers = [("Content-Type", "application/json")]
        if token is not None:
            headers.append(("Authorization", f"Bearer {token}"))
        return self.emulator.request(method, path, None if body is None else json.dumps(body).encode(), headers)

    def ids_of(self, token: str) -> list[str]:
        """The sessions that somebody sees in a list."""
        return [session["id"] for session in self.ask(token, "GET", "/api/sessions").json["sessions"]]


def free_port() -> int:
    """A port that nobody listens on; the issuer's address has it, so it must be known before the start."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def start(folder: Path, runtime: str, *options: str, **environ: str) -> Emulator:
    """The service's own manifest in an emulator, on a database of its own."""
    url = f"sqlite:///{folder}/classroom.db"
    options = (
        "--runtime",
        runtime,
        "--pass-env",
        "SWITCHBOARD_*",
        "--manifest",
        str(ROOT / "serverless.yml"),
        *options,
    )
    made = folder / "service"
    made.mkdir()
    return Emulator(made, *options, env={"SWITCHBOARD_DATABASE_URL": url, **environ})


@contextmanager
def running_with_identity(folder: Path, runtime: str = "workers", *further: str) -> Iterator[Emulator]:
    """What `make run IDENTITY=1` starts, for the length of a with block."""
    port = free_port()
    issuer = f"http://127.0.0.1:{port}/_emulator/idp"
    parameters = ("identity=issuer", f"issuer={issuer}", "audience=emulator", "origin=https://classroom.example")
    options = [option for one in parameters for option in ("--param", one)]
    emulator = start(folder, runtime, "--identity", "--port", str(port), *options, *further)
    try:
        yield emulator
    finally:
        emulator.stop()


@pytest.fixture(scope="module", params=RUNTIMES)
def by_issuer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VerifiedService]:
    """Tokens verified by the gateway, of the emulator's own issuer."""
    with running_with_identity(tmp_path_factory.mktemp("identity"), request.param) as emulator:
        yield VerifiedService(emulator)


@pytest.fixture(scope="module", params=RUNTIMES)
def by_secret(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VerifiedService]:
    """Tokens verified by `authorize`, of a school's own backend."""
    folder = tmp_path_factory.mktemp("identity")
    emulator = start(folder, request.param, "--param", "identity=secret", SWITCHBOARD_TOKEN_SECRETS=SECRET)
    yield VerifiedService(emulator)
    emulator.stop()


def lesson(service: VerifiedService, noether: str, ann: str, eve: str) -> None:
    """What each may do, from the first call to the last."""
    session = service.ask(noether, "POST", "/api/sessions", SESSION).json["session"]
    path = f"/api/sessions/{session['id']}"
    assert session["created_by"] == "ms_noether"
    assert [service.ask(who, "GET", path).status for who in (noether, ann, eve)] == [200, 200, 404]
    assert [service.ids_of(who) for who in (noether, ann, eve)] == [[session["id"]], [session["id"]], []]
    assert [service.ask(who, "GET", f"{path}/validate").status for who in (noether, ann, eve)] == [200, 200, 403]
    sent = {"type": "analytics", "content": {"answer": 3}}
    assert service.ask(ann, "POST", f"{path}/messages", sent).json["message"]["from_user"] == "ann"
    assert service.ask(ann, "POST", f"{path}/messages", sent | {"from_user": "bob"}).json["code"] == "identity_mismatch"
    assert len(service.ask(noether, "GET", f"{path}/messages").json["messages"]) == 1
    assert [service.ask(who, "DELETE", path).status for who in (ann, eve, noether)] == [403, 403, 200]


def test_a_lesson_with_an_issuers_tokens(by_issuer: VerifiedService) -> None:
    people = {"ms_noether": "teacher", "ann": "pupil", "eve": "pupil"}
    lesson(by_issuer, *(by_issuer.token(user, role) for user, role in people.items()))


def test_a_lesson_with_a_backends_tokens(by_secret: VerifiedService) -> None:
    people = {"ms_noether": ["teacher"], "ann": [], "eve": []}
    lesson(by_secret, *(hs256(sub=user, roles=roles) for user, roles in people.items()))


STRANGERS = ("GET /api/sessions", "POST /api/sessions", "GET /api/sessions/x", "DELETE /api/sessions/x")


@pytest.mark.parametrize("call", STRANGERS)
def test_a_stranger_is_turned_away_by_the_gateway(by_issuer: VerifiedService, call: str) -> None:
    assert by_issuer.ask(None, *call.split()).status == 401


def test_a_stranger_learns_the_status_alone(by_issuer: VerifiedService) -> None:
    assert by_issuer.ask(None, "GET", "/health").json == {"status": "healthy"}


FORGED = [
    jwt.encode({"sub": "ms_noether", "roles": ["teacher"], "exp": 99999999999}, "x" * 40, "HS256"),
    jwt.encode({"sub": "ms_noether", "roles": ["teacher"], "exp": 99999999999}, "", "none"),
    "not.a.token",
    "x" * 9000,
]


@pytest.mark.parametrize("token", FORGED, ids=["secret", "none", "nonsense", "long"])
def test_a_forged_token_opens_nothing(by_issuer: VerifiedService, by_secret: VerifiedService, token: str) -> None:
    answers = [service.ask(token, "GET", "/api/sessions") for service in (by_issuer, by_secret)]
    assert [answer.status for answer in answers] == [401, 403]


def unreachable(silent: socket.socket | None) -> str:
    """The address of an issuer that accepts connections and never answers, or of one that is not there."""
    return f"http://127.0.0.1:{free_port() if silent is None else silent.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["down", "silent"])
def test_an_issuer_that_cannot_be_reached_is_no_refusal(tmp_path: Path, kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        issuer = unreachable(silent if kind == "silent" else None)
        parameters = ("identity=secret", f"issuer={issuer}", "audience=emulator")
        options = [option for one in parameters for option in ("--param", one)]
        emulator = start(tmp_path, "workers", *options, SWITCHBOARD_TOKEN_SECRETS=SECRET)
        service = VerifiedService(emulator)
        good, unknown = hs256(iss=issuer, aud="emulator"), rs256(issuer)
        assert service.ask(good, "GET", "/api/sessions").status == 200
        answer = service.ask(unknown, "GET", "/api/sessions")
        emulator.stop()
    assert (answer.status, answer.json["code"], answer.header("retry-after")) == (503, "identity_unavailable", "5")
    assert all(part not in emulator.output() for part in [*unknown.split("."), *good.split(".")])


def rs256(issuer: str) -> str:
    """A token of an issuer whose keys nobody has."""
    return jwt.encode(claims(iss=issuer, aud="emulator"), rsa_key("first"), "RS256", {"kid": "first"})


REST = """
service: rest
provider: {name: aws, runtime: python3.13, environment: {SWITCHBOARD_IDENTITY: claims}}
functions:
  authorize: {handler: functions.authorize.handler}
  list:
    handler: functions.list.handler
    events:
      - http: {method: get, path: by-token, authorizer: {name: authorize, resultTtlInSeconds: 0}}
      - http: {method: get, path: by-request, authorizer: {name: authorize, type: request, resultTtlInSeconds: 0,
          identitySource: method.request.header.Authorization}}
"""


def test_a_rest_api_is_closed_by_the_same_authorizer(tmp_path: Path) -> None:
    project = tmp_path / "rest"
    project.mkdir()
    for name in ("functions", "shared"):
        (project / name).symlink_to(ROOT / name)
    (project / "serverless.yml").write_text(REST)
    environ = {"SWITCHBOARD_TOKEN_SECRETS": SECRET, "SWITCHBOARD_DATABASE_URL": f"sqlite:///{tmp_path}/classroom.db"}
    with running(project, "--pass-env", "SWITCHBOARD_*", env=environ) as emulator:
        service = VerifiedService(emulator)
        for path in ("/dev/by-token", "/dev/by-request"):
            tokens = (hs256(sub="ann"), hs256(sub="ann", exp=1), None)
            assert [service.ask(token, "GET", path).status for token in tokens] == [200, 401, 401]


def test_an_expired_token_opens_nothing(by_issuer: VerifiedService) -> None:
    query = "/_emulator/idp/token?user=ms_noether&role=teacher&seconds=-1"
    token = by_issuer.emulator.get(query).json["access_token"]
    assert by_issuer.ask(token, "GET", "/api/sessions").status == 401


def test_the_service_says_what_is_wrong_with_a_token(by_issuer: VerifiedService) -> None:
    token = by_issuer.token("ann@school.example", "teacher")
    issuer = f"http://127.0.0.1:{by_issuer.emulator.port}/_emulator/idp"
    command = [sys.executable, "-m", "shared.identity", "explain", "-"]
    environ = {"SWITCHBOARD_ISSUERS": issuer, "SWITCHBOARD_AUDIENCES": "another"}
    printed = subprocess.run(command, cwd=ROOT, input=token, env=environ, capture_output=True, text=True, timeout=60)
    assert printed.returncode == 1
    assert printed.stdout.splitlines()[-1] == "refused: for another audience"
    assert "sub 'ann@school.example' -> u-" in printed.stdout


@pytest.mark.parametrize("query", ["", "?user=", "?user=ann&seconds=soon", "?user=ann&seconds=99999999999999"])
def test_a_request_for_a_token_that_is_none_is_refused(by_issuer: VerifiedService, query: str) -> None:
    assert by_issuer.emulator.get(f"/_emulator/idp/token{query}").status == 400


def test_no_web_page_gets_a_token(by_issuer: VerifiedService) -> None:
    answer = by_issuer.emulator.get("/_emulator/idp/token?user=ann", ("Origin", "https://evil.example"))
    assert answer.status == 403


def test_a_key_can_be_kept(tmp_path: Path) -> None:
    key, published = tmp_path / "key.pem", []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        emulator = start(folder, "inline", "--identity-key", str(key))
        published.append(emulator.get("/_emulator/idp/keys").json)
        emulator.stop()
    assert (published[0], key.stat().st_mode & 0o777) == (published[1], 0o600)


def test_a_key_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("not a key")
    command = [sys.executable, "-m", "emulator", "--port", "0", "--identity-key", str(key)]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (printed.returncode, printed.stderr) == (1, f"error: {key}: not a private key in PEM\n")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("option", ["--env-file", "--identity-key"])
def test_a_file_without_an_end_is_refused_at_the_start(option: str) -> None:
    command = [sys.executable, "-m", "emulator", "--port", "0", option, "/dev/zero"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (printed.returncode, printed.stderr.startswith("error: /dev/zero: ")) == (1, True)
