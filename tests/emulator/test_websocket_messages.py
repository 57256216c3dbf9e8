"""Messages of WebSockets: which function gets one, and what its sender gets."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.emulator.harness import TIMEOUT, Emulator, eventually
from tests.emulator.websockets_client import ask, client, closing, printed

PROJECT = "websocket_chat"


def sent_body(connection: ClientConnection, message: str | bytes) -> Any:
    """The event of a message that the function of `$default` has answered with."""
    connection.send(message)
    return json.loads(connection.recv(TIMEOUT))


@pytest.mark.parametrize(
    "message",
    [
        "no JSON",
        "[]",
        "null",
        "{}",
        '{"action": "unknown"}',
        '{"action": "$connect"}',
        '{"action": {}}',
        "",
        "9" * 5000,
    ],
)
def test_a_message_that_selects_no_route_goes_to_the_default(framework: Emulator, message: str) -> None:
    with client(framework) as connection:
        event = sent_body(connection, message)
    assert (event["requestContext"]["routeKey"], event["body"]) == ("$default", message)


def test_a_message_selects_its_route_and_a_route_without_a_response_sends_none(framework: Emulator) -> None:
    with client(framework) as connection:
        connection.send('{"action": "quiet"}')
        framework.wait_for("WS      quiet  200")
        assert ask(connection, {"text": "next"})["body"] == '{"text": "next"}'


def test_a_binary_message_is_base64_and_the_console_says_what_aws_does(framework: Emulator) -> None:
    with client(framework) as connection:
        event = sent_body(connection, b"\x00\xff")
    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (b"\x00\xff", True)
    framework.wait_for("binary: AWS closes the connection with 1003")


@pytest.mark.parametrize("message", [{"error": "x"}, {"answer": 7}])
def test_a_function_that_fails_is_an_error_for_the_sender(framework: Emulator, message: dict[str, Any]) -> None:
    with client(framework) as connection:
        error = ask(connection, message)
        assert error.keys() == {"message", "connectionId", "requestId"}
        assert error["message"] == "Internal server error"
        assert ask(connection, {})["requestContext"]["connectionId"] == error["connectionId"]


def test_an_answer_without_a_body_sends_nothing(framework: Emulator) -> None:
    with client(framework) as connection:
        connection.send(json.dumps({"answer": {"statusCode": 200}}))
        assert ask(connection, {"text": "next"})["body"] == '{"text": "next"}'


def test_an_answer_is_as_long_as_a_message_may_be(framework: Emulator) -> None:
    with client(framework) as connection:
        connection.send(json.dumps({"repeat": 65_536}))
        assert connection.recv(TIMEOUT) == "é" * 65_536
        assert ask(connection, {"repeat": 65_537})["message"] == "Internal server error"


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (["x" * 32_768], None),
        (["x" * 32_769], 1009),
        (["x" * 32_768] * 4, None),
        (["x" * 32_768] * 4 + ["x"], 1009),
    ],
)
def test_the_limits_of_frames_and_messages_are_those_of_aws(
    framework: Emulator, frames: list[str], code: int | None
) -> None:
    with client(framework, max_size=None) as connection:
        # A server that refuses a message may close while the client still sends it.
        with contextlib.nullcontext() if code is None else contextlib.suppress(ConnectionClosed):
            connection.send(iter(frames))
        if code is None:
            assert "connectionId" in connection.recv(TIMEOUT)  # the event, or that it is too long an answer
            connection.send("next")
            assert "next" in connection.recv(TIMEOUT)
        else:
            assert closing(connection)[0] == code


def test_a_text_that_is_not_utf_8_closes_the_connection(framework: Emulator) -> None:
    with client(framework) as connection:
        connection.send(b"\xff", text=True)
        assert closing(connection) == (1007, "a text is not UTF-8")


def test_nonsense_instead_of_a_frame_closes_the_connection(framework: Emulator) -> None:
    with client(framework) as connection:
        known = ask(connection, {})["requestContext"]["connectionId"]
        connection.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert closing(connection)[0] == 1002
    assert printed(framework, "disconnect", known)["requestContext"]["disconnectStatusCode"] == 1002


def test_a_ping_is_answered(framework: Emulator) -> None:
    with client(framework) as connection:
        assert connection.ping(b"bell").wait(TIMEOUT)


@pytest.mark.parametrize(
    ("code", "reason", "noted"),
    [
        (1000, "", ""),
        (1001, "Zoë", "Zoë"),
        (4999, "bell", "bell"),
        (None, "", "Client-side close frame status not set"),
    ],
)
def test_a_function_learns_how_the_client_has_closed(
    framework: Emulator, code: int | None, reason: str, noted: str
) -> None:
    with client(framework) as connection:
        known = ask(connection, {})["requestContext"]["connectionId"]
        if code is None:
            connection.socket.sendall(b"\x88\x80\x00\x00\x00\x00")
            assert closing(connection)[0] == 1005
        else:
            connection.close(code, reason)
    context = printed(framework, "disconnect", known)["requestContext"]
    assert (context["disconnectStatusCode"], context["disconnectReason"]) == (code or 1005, noted)


def test_a_connection_that_breaks_off_is_closed_abnormally(framework: Emulator) -> None:
    with client(framework) as connection:
        known = ask(connection, {})["requestContext"]["connectionId"]
        connection.socket.shutdown(1)
        context = printed(framework, "disconnect", known)["requestContext"]
    assert (context["disconnectStatusCode"], context["disconnectReason"]) == (1006, "")


def test_messages_of_a_connection_run_at_the_same_time(framework: Emulator) -> None:
    with client(framework) as connection:
        connection.send('{"held": "first"}')
        eventually((framework.folder / "first.txt").exists)
        assert ask(connection, {"text": "second"})["body"] == '{"text": "second"}'
        (framework.folder / "first.txt").unlink()
        assert json.loads(connection.recv(TIMEOUT))["body"] == '{"held": "first"}'


def test_many_messages_of_one_client_are_all_answered(framework: Emulator) -> None:
    count = 1000
    with client(framework, max_queue=None) as connection:
        for number in range(count):
            connection.send(str(number))
        answers = [json.loads(connection.recv(TIMEOUT)) for _ in range(count)]
    assert {answer["body"] for answer in answers} == set(map(str, range(count)))
    assert len({answer["requestContext"]["messageId"] for answer in answers}) == count
