"""Clients of a WebSocket API for tests: `websockets` for the clients, boto3 for the functions' side."""

from __future__ import annotations

import contextlib
import json
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response
from websockets.sync.client import ClientConnection, connect

from tests.emulator.harness import TIMEOUT, Emulator, eventually

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import boto3  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]


@contextlib.contextmanager
def client(
    emulator: Emulator, query: str = "user=ann", path: str = "/ws", **options: Any
) -> Iterator[ClientConnection]:
    """An open connection."""
    url = f"ws://127.0.0.1:{emulator.port}{path}?{query}"
    with connect(url, proxy=None, compression=None, open_timeout=TIMEOUT, ping_interval=None, **options) as connection:
        yield connection


def refused(emulator: Emulator, query: str = "user=ann", path: str = "/ws", **options: Any) -> Response:
    """The response to a handshake that is refused."""
    with pytest.raises(InvalidStatus) as caught, client(emulator, query, path, **options):
        pass
    return caught.value.response


def ask(connection: ClientConnection, message: Any) -> Any:
    """Send a message and return the answer; both are JSON."""
    connection.send(json.dumps(message))
    return json.loads(connection.recv(TIMEOUT))


def id_of(connection: ClientConnection) -> str:
    """The connection's id, which a function or an error says."""
    answer = ask(connection, {"id": True})
    found: str = answer.get("requestContext", answer)["connectionId"]
    return found


def closing(connection: ClientConnection) -> tuple[int | None, str | None]:
    """The code and the reason with which the server closes the connection; messages before that are dropped."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            connection.recv(TIMEOUT)
    return connection.close_code, connection.close_reason


def printed(emulator: Emulator, function: str, part: str) -> dict[str, Any]:
    """The event that a function has printed, with this text in it."""
    lines = re.compile(rf"^(?:  {function} \| )?{function} (\{{.*{re.escape(part)}.*)$", re.MULTILINE)
    eventually(lambda: lines.search(emulator.output()))
    found = lines.search(emulator.output())
    assert found is not None
    event: dict[str, Any] = json.loads(found[1])
    return event


def management(emulator: Emulator, path: str = "") -> Any:
    """boto3's client of `@connections`."""
    return boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=f"http://127.0.0.1:{emulator.port}{path}",
        region_name="eu-west-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"max_attempts": 0}, read_timeout=TIMEOUT),
    )
