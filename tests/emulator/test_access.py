"""The emulator's own routes and web pages: whose request is answered, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.emulator.harness import Emulator, running, write_service

MANIFEST = """
service: page
provider:
  name: aws
  runtime: python3.13
  region: eu-west-1
  environment: {STAGE: dev, DATABASE_URL: "postgresql://ms:s3cret@host/db"}
functions:
  hello: {handler: app.hello, events: [{httpApi: "ANY /hello"}]}
"""
APP = """
def hello(event, context):
    print("called")
    return "hello"
"""
INVOKE = "POST /2015-03-31/functions/hello/invocations"
OWN_ROUTES = (
    INVOKE,
    "GET /2015-03-31/functions",
    "GET /_emulator/logs",
    "GET /_emulator/schedules",
    "GET /_emulator/requests",
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = write_service(tmp_path_factory.mktemp("access") / "service", MANIFEST, app=APP)
    with running(folder, "--inline", "--allow-host", "Classroom.Example") as started:
        yield started


def status(emulator: Emulator, route: str, *headers: str) -> int:
    """The status of a request with exactly these headers; PORT in them is the emulator's."""
    lines = [f"{route} HTTP/1.1", *headers, "Content-Type: text/plain", "Content-Length: 2", "Connection: close"]
    with emulator.connect() as client:
        client.sendall("\r\n".join([*lines, "", "{}"]).replace("PORT", str(emulator.port)).encode())
        return int(client.makefile("rb").readline().split()[1])


@pytest.mark.parametrize("route", OWN_ROUTES)
@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:PORT", "my.localhost", "127.0.0.1:PORT", "127.9.9.9", "[::1]:PORT", "classroom.example:9"],
)
def test_a_host_of_this_machine_or_one_that_was_allowed_is_answered(served: Emulator, route: str, host: str) -> None:
    assert status(served, route, f"Host: {host}") == 200


@pytest.mark.parametrize("route", OWN_ROUTES)
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "192.0.2.1", "127.0.0.1.evil.example", "[", "", "::1"]
)
def test_another_host_is_refused(served: Emulator, route: str, host: str) -> None:
    assert status(served, route, f"Host: {host}") == 403


@pytest.mark.parametrize("route", OWN_ROUTES)
@pytest.mark.parametrize(
    "header",
    [
        "Origin: https://evil.example",
        "Origin: null",
        "Origin: http://localhost:1",
        "Origin: https://localhost:PORT",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ],
)
def test_a_web_page_of_another_origin_is_refused(served: Emulator, route: str, header: str) -> None:
    assert status(served, route, "Host: localhost:PORT", header) == 403


@pytest.mark.parametrize("route", OWN_ROUTES)
def test_a_page_of_the_emulators_own_origin_is_answered(served: Emulator, route: str) -> None:
    own = ("Host: localhost:PORT", "Origin: http://localhost:PORT", "Sec-Fetch-Site: same-origin")
    assert status(served, route, *own) == 200
    assert status(served, route, "Host: localhost:PORT", "Sec-Fetch-Site: none") == 200


LINK = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate")


def test_a_person_may_follow_a_link_of_another_page(served: Emulator) -> None:
    route, document = "GET /_emulator/requests", "Sec-Fetch-Dest: document"
    assert status(served, route, "Host: localhost:PORT", *LINK, document) == 200
    assert status(served, route, "Host: localhost:PORT", *LINK, "Sec-Fetch-Dest: iframe") == 403
    assert status(served, route, "Host: localhost:PORT", LINK[0], "Sec-Fetch-Mode: no-cors", document) == 403
    assert status(served, route, "Host: evil.example", *LINK, document) == 403
    assert status(served, INVOKE, "Host: localhost:PORT", *LINK, document) == 403


def test_a_refused_call_runs_no_function(served: Emulator) -> None:
    before = served.get("/_emulator/logs").json["last"]
    status(served, INVOKE, "Host: localhost:PORT", "Origin: https://evil.example")
    status(served, INVOKE.replace("_", "%5f"), "Host: evil.example")
    assert served.get("/_emulator/logs").json["last"] == before


def test_a_functions_route_answers_for_every_host_and_origin(served: Emulator) -> None:
    assert status(served, "POST /hello", "Host: school.example", "Origin: https://school.example") == 200


def test_a_refusal_says_what_to_do(served: Emulator) -> None:
    with served.connect() as client:
        client.sendall(b"GET /_emulator/logs HTTP/1.1\r\nHost: here.example\r\nConnection: close\r\n\r\n")
        answer = client.makefile("rb").read()
    assert b"--allow-host here.example" in answer


def test_the_host_that_is_listened_on_is_allowed(tmp_path: Path) -> None:
    folder = write_service(tmp_path / "service", MANIFEST, app=APP)
    with running(folder, "--inline", "--host", "0.0.0.0") as started:
        assert status(started, "GET /_emulator/logs", "Host: 0.0.0.0:PORT") == 200
        assert status(started, "GET /_emulator/logs", "Host: 192.0.2.1:PORT") == 403


@pytest.mark.parametrize("after", ["9" * 5000, "-1", "1.0", "\u0663", "x", ""])
def test_the_logs_number_is_a_short_whole_number(served: Emulator, after: str) -> None:
    assert served.get(f"/_emulator/logs?after={quote(after)}").status == 400


@pytest.mark.parametrize("path", ["", "/hello", "/hello/configuration"])
def test_a_functions_description_masks_secrets(served: Emulator, path: str) -> None:
    told = served.get(f"/2015-03-31/functions{path}").body
    assert b"s3cret" not in told
    assert b'"STAGE":"dev","DATABASE_URL":"postgresql://ms:****@host/db"' in told
