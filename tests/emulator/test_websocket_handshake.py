"""Handshakes of WebSockets: who is admitted, where, and what a refused client gets."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.emulator.harness import Emulator
from tests.emulator.websockets_client import ask, client, printed, refused

PROJECT = "websocket_chat"
HEAD = b"GET /ws?user=ann HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("", 401, "Unauthorized"),
        ("user=", 401, "Unauthorized"),
        ("user=Unauthorized", 401, "Unauthorized"),
        ("user=denied", 403, "Forbidden"),
        ("user=malformed", 500, "Internal server error"),
        ("user=failing", 500, "Internal server error"),
        ("user=ann&error=x", 502, "Internal server error"),
        ("user=ann&answer=null", 502, "Internal server error"),
        ('user=ann&answer={"statusCode": "no"}', 502, "Internal server error"),
    ],
)
def test_a_handshake_that_the_gateway_refuses_has_its_status_and_its_error(
    framework: Emulator, query: str, status: int, message: str
) -> None:
    response = refused(framework, quote(query, safe="=&"))
    error = json.loads(response.body)
    assert (response.status_code, error["message"]) == (status, message)
    assert error.keys() == {"message", "connectionId", "requestId"}


def test_a_handshake_that_the_function_refuses_has_the_functions_answer(framework: Emulator) -> None:
    answer = {"statusCode": 410, "headers": {"content-type": "application/problem+json"}, "body": '{"code": "ended"}'}
    response = refused(framework, f"user=ann&answer={quote(json.dumps(answer))}")
    assert (response.status_code, bytes(response.body)) == (410, b'{"code": "ended"}')
    assert response.headers["content-type"] == "application/problem+json"


def test_every_success_opens_the_connection(framework: Emulator) -> None:
    with client(framework, f"user=ann&answer={quote(json.dumps({'statusCode': 204}))}") as connection:
        assert ask(connection, {})["requestContext"]["routeKey"] == "$default"


def test_the_function_chooses_the_subprotocol(framework: Emulator) -> None:
    answer = json.dumps({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "class.v2"}})
    offered = ["class.v1", "class.v2"]
    with client(framework, f"user=ann&answer={quote(answer)}", subprotocols=offered) as connection:
        assert connection.subprotocol == "class.v2"
    with client(framework, subprotocols=offered) as connection:
        assert connection.subprotocol is None


def test_the_caller_is_in_every_event_of_the_connection(framework: Emulator) -> None:
    with client(framework, "user=caller") as connection:
        events = [printed(framework, "connect", '"user": "caller"'), *(ask(connection, {}) for _ in range(2))]
        known = events[0]["requestContext"]["connectionId"]
    events.append(printed(framework, "disconnect", known))
    callers = [event["requestContext"]["authorizer"] for event in events]
    assert callers[0] == {**callers[0], "principalId": "caller", "room": "12", "staff": "false", "name": "Zoë"}
    assert callers == callers[:1] * 4


@pytest.mark.parametrize("path", ["/ws", "/ws/", "/dev", "/%77s"])
def test_the_api_is_served_at_two_paths(framework: Emulator, path: str) -> None:
    with client(framework, path=path) as connection:
        assert ask(connection, {})["requestContext"]["stage"] == "dev"


def test_a_handshake_elsewhere_is_an_ordinary_request(framework: Emulator) -> None:
    assert refused(framework, path="/elsewhere").status_code == 404


def test_an_ordinary_request_at_the_same_path_is_for_the_http_route(framework: Emulator) -> None:
    assert framework.get("/ws?answer=%7B%22statusCode%22%3A+418%7D").status == 418


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"Sec-WebSocket-Version: 13\r\n\r\n", 400),
        (KEY + b"\r\n", 400),
        (KEY + b"Sec-WebSocket-Version: 8\r\n\r\n", 400),
        (KEY + KEY + b"Sec-WebSocket-Version: 13\r\n\r\n", 400),
        (
            KEY
            + b"Sec-WebSocket-Version: 13\r\nX-Long: "
            + b"x" * 8000
            + b"\r\nX-Longer: "
            + b"x" * 3000
            + b"\r\n\r\n",
            431,
        ),
    ],
)
def test_a_handshake_that_breaks_the_protocol_reaches_no_function(
    framework: Emulator, rest: bytes, status: int
) -> None:
    with framework.connect() as socket:
        socket.sendall(HEAD + rest)
        assert socket.recv(100).startswith(b"HTTP/1.1 %d " % status)


def test_what_a_client_sends_before_the_answer_is_read_after_it(framework: Emulator) -> None:
    frame = b"\x81\x82\x00\x00\x00\x00{}"
    with framework.connect() as socket, socket.makefile("rb") as received:
        socket.sendall(HEAD + KEY + b"Sec-WebSocket-Version: 13\r\n\r\n" + frame)
        assert received.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
        while received.readline() != b"\r\n":
            pass
        assert received.read(2)[0] == 0x81
