"""The events of a WebSocket API: exactly what AWS hands to its functions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.emulator.harness import Emulator, assert_just_now
from tests.emulator.websockets_client import ask, client, id_of, printed

PROJECT = "websocket_chat"
EVENTS = Path(__file__).parent / "events" / "websocket"
HEADERS = {"X-Room": "12", "x-pupil": "7"}
_ID = re.compile(r"[\w-]{15}=")
_OWN = ("Sec-WebSocket-Key", "X-Amzn-Trace-Id", "X-Forwarded-Port", "Host")


def golden(name: str, event: dict[str, Any]) -> dict[str, Any]:
    """The golden event, with the values that differ each time checked for their form and taken over."""
    expected: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    wanted, given = expected["requestContext"], event["requestContext"]
    assert_just_now(given["requestTime"], given["requestTimeEpoch"])
    assert 0 <= given["requestTimeEpoch"] - given["connectedAt"] < 60_000
    for key in ("connectionId", "requestId", "messageId"):
        assert key not in wanted or _ID.fullmatch(given[key])
    assert given["extendedRequestId"] == given["requestId"] != given["connectionId"]
    differing = ("connectionId", "requestId", "extendedRequestId", "messageId", "requestTime", "requestTimeEpoch")
    wanted |= {key: given[key] for key in (*differing, "connectedAt") if key in wanted}
    if "authorizer" in wanted:
        assert isinstance(given["authorizer"]["integrationLatency"], int)
        wanted["authorizer"]["integrationLatency"] = given["authorizer"]["integrationLatency"]
    for header in _OWN:
        for kind in ("headers", "multiValueHeaders"):
            if header in expected.get(kind, {}):
                expected[kind][header] = event[kind][header]
    return expected


def test_the_event_of_a_handshake(framework: Emulator) -> None:
    query = "user=ann&tag=a%20b&tag=c+d&empty=&mark=golden-connect"
    with client(framework, query, user_agent_header="school/1.0", additional_headers=HEADERS):
        pass
    event = printed(framework, "connect", "golden-connect")
    assert event == golden("connect", event)


def test_the_event_of_the_authorizer(framework: Emulator) -> None:
    query = "user=ann&mark=golden-authorizer"
    with client(framework, query, path="/dev", user_agent_header=None, additional_headers=HEADERS):
        pass
    event = printed(framework, "authorize", "golden-authorizer")
    assert event == golden("authorizer", event)


def test_the_event_of_a_message(framework: Emulator) -> None:
    with client(framework, user_agent_header=None) as connection:
        event = ask(connection, {"text": "Zoë"})
    assert event == golden("message", event)


def test_the_event_of_a_closed_connection(framework: Emulator) -> None:
    with client(framework, user_agent_header=None) as connection:
        known = id_of(connection)
        connection.close(4001, "bell")
    event = printed(framework, "disconnect", known)
    assert event == golden("disconnect", event)
