"""The gateway's own business: CORS, limits, clients that misbehave, the lines on the screen."""

from __future__ import annotations

import contextlib
import time

import pytest

from tests.emulator.harness import Emulator

# The gateway is the same whatever runs the functions.
pytestmark = pytest.mark.parametrize("emulator", ["workers"], indirect=True)

ORIGIN = ("Origin", "https://school.example")
TOO_LARGE = {"message": "Request Entity Too Large"}


def preflight(emulator: Emulator, origin: str) -> dict[str, str]:
    headers = [("Origin", origin), ("Access-Control-Request-Method", "POST")]
    answer = emulator.request("OPTIONS", "/echo", headers=headers)
    assert (answer.status, answer.body) == (204, b"")
    return {name: value for name, value in answer.headers if name.startswith("access-control-")}


def test_a_preflight_is_answered_by_the_gateway(emulator: Emulator) -> None:
    assert preflight(emulator, "https://school.example") == {
        "access-control-allow-origin": "https://school.example",
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "content-type",
        "access-control-expose-headers": "location",
        "access-control-max-age": "60",
    }


@pytest.mark.parametrize(
    ("method", "header"), [("OPTIONS", "Access-Control-Request-Headers"), ("GET", "Access-Control-Request-Method")]
)
def test_what_is_no_preflight_reaches_the_function(emulator: Emulator, method: str, header: str) -> None:
    answer = emulator.request(method, "/any", headers=[ORIGIN, (header, "POST")])
    assert (answer.status, answer.json["routeKey"]) == (200, "ANY /any")


def test_a_strange_origin_is_told_nothing(emulator: Emulator) -> None:
    assert preflight(emulator, "https://elsewhere.example") == {}
    assert emulator.get("/echo", ("Origin", "https://elsewhere.example")).header("access-control-allow-origin") is None


@pytest.mark.parametrize("path", ["/echo", "/raises", "/nowhere"])
def test_every_answer_tells_the_origin(emulator: Emulator, path: str) -> None:
    assert emulator.get(path, ORIGIN).header("access-control-allow-origin") == "https://school.example"
    assert emulator.get(path).header("access-control-allow-origin") is None


def test_the_gateways_cors_replaces_the_functions(emulator: Emulator) -> None:
    answer = emulator.post("/answer", {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}})
    assert answer.header("access-control-allow-origin") is None


@pytest.mark.parametrize(("filler", "status"), [(10_240, 200), (10_241, 431)])
def test_request_line_and_headers_have_a_limit(emulator: Emulator, filler: int, status: int) -> None:
    start = b"GET /echo?a=b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Filler: "
    head = start + b"x" * (filler - len(start) - 2) + b"\r\n"
    assert len(head) == filler
    with emulator.connect() as client:
        client.sendall(head + b"\r\n")
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 %d " % status)


def test_headers_without_end_are_not_read_for_ever(emulator: Emulator) -> None:
    with emulator.connect() as client:
        client.sendall(b"GET /echo HTTP/1.1\r\nHost: x\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                client.sendall(b"X-Filler: " + b"x" * 1000 + b"\r\n")
        with contextlib.suppress(ConnectionError):
            assert client.recv(100).startswith(b"HTTP/1.1 431 ")
    assert emulator.get("/echo").status == 200


def test_a_body_over_the_gateways_limit(emulator: Emulator) -> None:
    answer = emulator.request("POST", "/raw", b"x" * (10 * 1024 * 1024 + 1))
    assert (answer.status, answer.json) == (413, TOO_LARGE)


def test_an_event_over_lambdas_limit(emulator: Emulator) -> None:
    answer = emulator.request("POST", "/raw", b"x" * 6_291_556, [("Content-Type", "text/plain")])
    assert (answer.status, answer.json) == (413, TOO_LARGE)


def test_a_line_for_every_request_and_none_forged(emulator: Emulator) -> None:
    emulator.get("/echo/one%0Atwo%1B%5B31m?secret=1")
    output = emulator.wait_for("/echo/one%0Atwo%1B%5B31m  200  ")
    line = next(line for line in output.splitlines() if "one%0Atwo" in line)
    assert line.startswith("GET ")
    assert line.endswith(" ms  echo")


def test_half_a_request_holds_up_nobody(emulator: Emulator) -> None:
    with emulator.connect() as half, emulator.connect() as body, emulator.connect() as slowly:
        half.sendall(b"GET /echo HTTP/1.1\r\nHost:")
        body.sendall(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        for byte in b"GET /ec":
            slowly.sendall(bytes([byte]))
        begun = time.monotonic()
        assert emulator.get("/echo").status == 200
        assert time.monotonic() - begun < 20  # half a head may take 30 seconds
        slowly.sendall(b"ho HTTP/1.1\r\nHost: x\r\n\r\n")
        assert slowly.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_hangs_up_is_no_error(emulator: Emulator) -> None:
    before = emulator.output().count("Traceback")
    with emulator.connect() as client:
        client.sendall(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    with emulator.connect() as client:
        client.sendall(b"GET /sleeps HTTP/1.1\r\nHost: x\r\n\r\n")
    assert emulator.get("/sleeps").status == 200
    assert emulator.output().count("Traceback") == before


@pytest.mark.parametrize("junk", [b"\x00\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_what_is_no_http_is_refused(emulator: Emulator, junk: bytes) -> None:
    with emulator.connect() as client:
        client.sendall(junk)
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert emulator.get("/echo").status == 200
