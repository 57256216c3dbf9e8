"""`@connections`, by the unmodified boto3: functions write to clients, look at connections and close them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator.containers import environment
from emulator.manifest.loader import load
from tests.emulator.harness import Emulator, eventually
from tests.emulator.websockets_client import client, closing, id_of, management, printed

PROJECT = "websocket_chat"


@pytest.fixture(params=["", "/dev", "/ws"])
def api(framework: Emulator, request: pytest.FixtureRequest) -> Iterator[Any]:
    """boto3's client, with and without the stage."""
    client = management(framework, request.param)
    yield client
    client.close()


@pytest.fixture
def plain_api(framework: Emulator) -> Iterator[Any]:
    client = management(framework)
    yield client
    client.close()


def test_a_text_arrives_as_a_text_and_bytes_as_bytes(framework: Emulator, api: Any) -> None:
    with client(framework) as connection:
        known = id_of(connection)
        for data in ("Zoë".encode(), b"\xff\x00", b""):
            assert api.post_to_connection(ConnectionId=known, Data=data)["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert [connection.recv(), connection.recv(), connection.recv()] == ["Zoë", b"\xff\x00", ""]


def test_a_connection_is_described(framework: Emulator, api: Any) -> None:
    with client(framework, user_agent_header="school/1.0") as connection:
        found = api.get_connection(ConnectionId=id_of(connection))
        assert found["Identity"] == {"SourceIp": "127.0.0.1", "UserAgent": "school/1.0"}
        assert found["ConnectedAt"] <= found["LastActiveAt"] <= datetime.now(UTC) + timedelta(seconds=1)


def test_a_connection_is_closed(framework: Emulator, api: Any) -> None:
    with client(framework) as connection:
        known = id_of(connection)
        assert api.delete_connection(ConnectionId=known)["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert closing(connection) == (1000, "")
    assert printed(framework, "disconnect", known)["requestContext"]["disconnectStatusCode"] == 1000
    with pytest.raises(api.exceptions.GoneException):
        api.delete_connection(ConnectionId=known)


def test_a_function_finds_the_api_by_its_environment(framework: Emulator) -> None:
    with client(framework) as connection:
        connection.send('{"action": "post"}')
        assert connection.recv() == "posted"


def test_a_connection_that_is_closed_or_unknown_is_gone(framework: Emulator, plain_api: Any) -> None:
    with client(framework) as connection:
        closed = id_of(connection)
    printed(framework, "disconnect", closed)
    for known in (closed, "L0SM9cOFvHcCIhw="):
        for call in (plain_api.get_connection, plain_api.delete_connection):
            with pytest.raises(plain_api.exceptions.GoneException):
                call(ConnectionId=known)
        with pytest.raises(plain_api.exceptions.GoneException):
            plain_api.post_to_connection(ConnectionId=known, Data=b"{}")


def test_a_connection_is_gone_until_its_function_has_returned(framework: Emulator, plain_api: Any) -> None:
    def handshake() -> str:
        with client(framework, "user=ann&held=handshake") as connection:
            return id_of(connection)

    file = framework.folder / "handshake.txt"
    with ThreadPoolExecutor() as threads:
        opened = threads.submit(handshake)
        eventually(file.exists)
        known = file.read_text()
        with pytest.raises(plain_api.exceptions.GoneException):
            plain_api.post_to_connection(ConnectionId=known, Data=b"{}")
        file.unlink()
        assert opened.result() == known


def test_a_message_may_be_as_long_as_on_aws(framework: Emulator, plain_api: Any) -> None:
    with client(framework) as connection:
        known = id_of(connection)
        plain_api.post_to_connection(ConnectionId=known, Data=b"x" * 131_072)
        assert len(connection.recv()) == 131_072
        with pytest.raises(plain_api.exceptions.PayloadTooLargeException):
            plain_api.post_to_connection(ConnectionId=known, Data=b"x" * 131_073)


@pytest.mark.parametrize(
    "path",
    [
        "/@connections/L0SM9cOFvHcCIhw=",
        "/@connections/short",
        "/@connections/",
        "/@connections/%2F%3D%3D%3D",
        "/prod/@connections/L0SM9cOFvHcCIhw%3D",
        "/@connections/L0SM9cOFvHcCIhw%3D/more",
    ],
)
def test_what_cannot_be_a_connection_is_forbidden(framework: Emulator, path: str) -> None:
    answer = framework.get(path)
    assert (answer.status, answer.header("x-amzn-errortype")) == (403, "ForbiddenException")


def test_another_method_is_forbidden(framework: Emulator) -> None:
    assert framework.request("PUT", "/@connections/L0SM9cOFvHcCIhw%3D", b"").status == 403


@pytest.mark.parametrize("header", [("Origin", "http://school.example"), ("Sec-Fetch-Site", "cross-site")])
def test_no_other_origin_may_use_the_api(framework: Emulator, header: tuple[str, str]) -> None:
    answer = framework.request("POST", "/dev/@connections/L0SM9cOFvHcCIhw%3D", b"{}", [header])
    assert (answer.status, answer.header("x-amzn-errortype")) == (403, "AccessDeniedException")


def test_the_apis_address_in_a_template_is_the_emulators_own(tmp_path: Path) -> None:
    host = "${WebsocketsApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}"
    variables = f"{{API: !Sub 'https://{host}/dev', SOCKET: !Sub 'wss://{host}/dev'}}"
    manifest = tmp_path / "serverless.yml"
    manifest.write_text(f"service: s\nprovider: {{environment: {variables}}}\nfunctions: {{one: {{handler: a.b}}}}\n")
    loaded = load(manifest, {})
    found = environment.complete(loaded.functions["one"], loaded, {}, "http://127.0.0.1:9")
    assert (found["API"], found["SOCKET"]) == ("http://127.0.0.1:9/dev", "ws://127.0.0.1:9/dev")
