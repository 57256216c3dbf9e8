"""How long WebSockets live: time limits, clients that do not read, changes of the project, and the emulator's stop."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.emulator.conftest import RUNTIMES
from tests.emulator.harness import TIMEOUT, Emulator, eventually, project, running
from tests.emulator.websockets_client import ask, client, closing, id_of, management, printed, refused


@pytest.fixture
def chat(folder: Path) -> Path:
    """A copy of the project, for an emulator of the test's own."""
    return project(folder, "websocket_chat")


def disconnection(emulator: Emulator, known: str) -> tuple[int, str]:
    """The code and the reason that a function has got."""
    context = printed(emulator, "disconnect", known)["requestContext"]
    return context["disconnectStatusCode"], context["disconnectReason"]


@pytest.mark.parametrize("option", ["--websocket-idle-seconds", "--websocket-life-seconds"])
def test_a_connection_ends_when_it_is_idle_or_old(chat: Path, option: str) -> None:
    with running(chat, "--inline", option, "1") as emulator, client(emulator) as connection:
        known = id_of(connection)
        assert closing(connection) == (1001, "Going away")
        assert disconnection(emulator, known) == (1001, "Going away")


def test_a_connection_with_frames_is_not_idle(chat: Path) -> None:
    with (
        running(chat, "--inline", "--websocket-idle-seconds", "3") as emulator,
        client(emulator) as posted,
        client(emulator) as pinging,
        client(emulator) as idle,
    ):
        api, known = management(emulator), id_of(posted)
        while idle.close_code is None:
            assert pinging.ping().wait(TIMEOUT)
            api.post_to_connection(ConnectionId=known, Data=b"{}")
            with contextlib.suppress(TimeoutError, ConnectionClosed):
                idle.recv(0.05)
        assert idle.close_code == 1001
        assert pinging.ping().wait(TIMEOUT)
        api.post_to_connection(ConnectionId=known, Data=b"{}")
        api.close()


def test_idle_time_passes_on_the_clock_of_the_emulator(chat: Path) -> None:
    with running(chat) as emulator, client(emulator) as connection:
        known = id_of(connection)
        emulator.request(
            "PUT", "/_emulator/clock", b'{"at": "2099-01-01T00:00Z"}', [("Content-Type", "application/json")]
        )
        assert closing(connection) == (1001, "Going away")
        assert disconnection(emulator, known)[0] == 1001


def test_a_client_that_does_not_read_is_closed_and_others_are_not_held_up(chat: Path) -> None:
    with running(chat, "--inline") as emulator, client(emulator) as reader, unread(emulator) as known:
        api, other = management(emulator), id_of(reader)
        assert 8 <= posts_until_full(api, known) < 100  # more than a megabyte, but not without a limit
        api.post_to_connection(ConnectionId=other, Data=b"read")
        assert reader.recv(TIMEOUT) == "read"
        assert disconnection(emulator, known) == (1006, "The client does not read")
        with pytest.raises(api.exceptions.GoneException):
            api.post_to_connection(ConnectionId=known, Data=b"{}")
        api.close()


def posts_until_full(api: Any, known: str) -> int:
    """How many messages of 128 KB can be posted to a connection."""
    for count in range(1000):
        try:
            api.post_to_connection(ConnectionId=known, Data=b"x" * 131_072)
        except api.exceptions.LimitExceededException:
            return count
    raise AssertionError("there is no limit")


@contextlib.contextmanager
def unread(emulator: Emulator) -> Iterator[str]:
    """The id of a connection whose client reads nothing after the answer to its first message."""
    with emulator.connect() as client, client.makefile("rb") as received:
        client.sendall(
            b"GET /ws?user=ann HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            b"\x81\x82\x00\x00\x00\x00{}"
        )
        while received.readline() != b"\r\n":
            pass
        length = int.from_bytes(received.read(4)[2:])
        yield json.loads(received.read(length))["requestContext"]["connectionId"]


def test_a_client_that_does_not_confirm_the_end_loses_the_connection(chat: Path) -> None:
    with running(chat, "--inline") as emulator, unread(emulator) as known:
        management(emulator).delete_connection(ConnectionId=known)
        assert disconnection(emulator, known)[0] == 1000
        assert emulator.stop() == 0


def test_a_connection_survives_a_change_and_its_next_message_runs_the_new_code(chat: Path) -> None:
    code, manifest = chat / "chat.py", chat / "serverless.yml"
    with running(chat) as emulator, client(emulator) as connection:
        known = id_of(connection)
        code.write_text(code.read_text().replace('"body": json.dumps(event)', '"body": json.dumps({"new": event})'))
        eventually(lambda: "new" in ask(connection, {}))
        manifest.write_text(manifest.read_text().replace("{websocket: {route: post}}", "{websocket: added}"))
        eventually(lambda: ask(connection, {}) and "serverless.yml has changed" in emulator.output())
        connection.send('{"action": "added"}')
        emulator.wait_for("WS      added  200")
        assert management(emulator).get_connection(ConnectionId=known)["Identity"]["SourceIp"] == "127.0.0.1"


def test_a_manifest_that_cannot_be_read_is_an_error_for_messages_and_handshakes(chat: Path) -> None:
    with running(chat, "--inline") as emulator, client(emulator) as connection:
        known = id_of(connection)
        (chat / "serverless.yml").write_text("service: [")
        eventually(lambda: ask(connection, {}).get("message") == "Internal server error")
        assert refused(emulator).status_code == 500
        assert management(emulator).get_connection(ConnectionId=known)["Identity"]["SourceIp"] == "127.0.0.1"


def test_a_message_has_no_route_any_more_when_the_api_is_gone(chat: Path) -> None:
    manifest = chat / "serverless.yml"
    with running(chat, "--inline") as emulator, client(emulator) as connection:
        known = id_of(connection)
        manifest.write_text("service: chat\nprovider: {name: aws}\nfunctions: {}\n")
        eventually(lambda: ask(connection, {}).get("message") == "Forbidden")
        management(emulator).delete_connection(ConnectionId=known)
        assert closing(connection)[0] == 1000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_stop_closes_every_connection_and_calls_the_function_for_each(
    chat: Path, runtime: str, number: signal.Signals
) -> None:
    with running(chat, *RUNTIMES[runtime]) as emulator, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(client(emulator)) for _ in range(5)]
        known = [id_of(one) for one in connections]
        assert emulator.stop(number) == 0
        assert [closing(one) for one in connections] == [(1001, "Going away")] * 5
        assert [disconnection(emulator, one)[0] for one in known] == [1001] * 5


def test_a_stop_waits_for_the_messages_that_are_processed(chat: Path) -> None:
    with running(chat) as emulator, client(emulator) as connection:
        connection.send('{"held": "first"}')
        eventually((chat / "first.txt").exists)
        emulator.process.send_signal(signal.SIGTERM)
        assert closing(connection)[0] == 1001
        (chat / "first.txt").unlink()
        assert emulator.process.wait(TIMEOUT) == 0
        emulator.wait_for("WS      $default  200")


def test_a_function_reaches_the_emulator_while_it_stops(chat: Path) -> None:
    code = chat / "chat.py"
    text = code.read_text().replace('    show("disconnect", event)', "    tell(event)")
    code.write_text(f"{text}\n\n{TELL}")
    with running(chat) as emulator, client(emulator) as connection:
        id_of(connection)
        assert emulator.stop() == 0
        assert "told: 410" in emulator.output()


TELL = """
def tell(event):
    import os, urllib.error, urllib.parse, urllib.request

    known = urllib.parse.quote(event["requestContext"]["connectionId"])
    url = f"{os.environ['AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI']}/@connections/{known}"
    try:
        urllib.request.urlopen(url)
    except urllib.error.HTTPError as error:
        print("told:", error.code)
"""


def test_messages_can_be_processed_one_after_another(chat: Path) -> None:
    with running(chat, "--messages-in-order") as emulator, client(emulator) as connection:
        known = id_of(connection)
        connection.send('{"held": "first"}')
        eventually((chat / "first.txt").exists)
        for number in range(300):
            connection.send(str(number))
        (chat / "first.txt").unlink()
        bodies = [json.loads(connection.recv(TIMEOUT))["body"] for _ in range(301)]
        assert bodies == ['{"held": "first"}', *map(str, range(300))]
        connection.send('{"held": "last"}')
        eventually((chat / "last.txt").exists)
        connection.close()
        (chat / "last.txt").unlink()
        assert disconnection(emulator, known)[0] == 1000
        lines = [line for line in emulator.output().splitlines() if line.startswith("WS ")]
        assert "$default" in lines[-2]
        assert "$disconnect" in lines[-1]


def test_a_handshake_of_a_stopping_emulator_is_refused(chat: Path) -> None:
    with running(chat) as emulator, client(emulator) as connection:
        connection.send('{"held": "first"}')
        eventually((chat / "first.txt").exists)
        emulator.process.send_signal(signal.SIGTERM)
        assert closing(connection)[0] == 1001
        assert refused(emulator).status_code == 503
        (chat / "first.txt").unlink()
        assert emulator.process.wait(TIMEOUT) == 0
