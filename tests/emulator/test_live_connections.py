"""The routes of live WebSocket connections, and the book of their messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from emulator.gateway.websocket.connection import MAX_MESSAGE
from emulator.service.frame_book import FRAME_BYTES, FrameBook
from tests.emulator.harness import Emulator, eventually, running, write_service
from tests.emulator.websockets_client import client

MANIFEST = """
service: live
provider: {name: aws, runtime: python3.13}
functions:
  chat: {handler: app.chat, events: [{websocket: $connect}, {websocket: $disconnect}, {websocket: $default}]}
"""
APP = "def chat(event, context):\n    return {'statusCode': 200}\n"


def told(emulator: Emulator, after: int = 0) -> Any:
    return emulator.get(f"/_emulator/connections?after={after}").json


def test_connections_and_their_messages_are_told(tmp_path: Path) -> None:
    with running(write_service(tmp_path / "service", MANIFEST, app=APP), "--inline") as emulator:
        assert told(emulator) == {"connections": [], "frames": [], "last": 0, "used": True}
        with client(emulator) as connection:
            connection.send("hello")
            connection.send(b"\xff")
            eventually(lambda: told(emulator)["last"] == 2)
            found = told(emulator)
            [one] = found["connections"]
            assert [(frame["direction"], frame["data"]) for frame in found["frames"]] == [
                ("in", "hello"),
                ("in", "/w=="),
            ]
            assert [frame["base64"] for frame in told(emulator, 1)["frames"]] == [True]
            path = f"/_emulator/connections/{quote(one['id'], safe='')}"
            assert emulator.post(f"{path}/messages", {"text": "x" * (MAX_MESSAGE + 1)}).status == 413
            assert emulator.post(f"{path}/messages", {"words": "x"}).status == 400
            assert emulator.post(f"{path}/messages", {"text": "x"}).status == 200
            assert connection.recv(30) == "x"
            assert emulator.request("DELETE", path).status == 200
            assert emulator.request("DELETE", path).status == 404
        assert told(emulator)["connections"] == []


def test_the_book_of_messages_is_bounded_in_number_and_in_bytes() -> None:
    book = FrameBook()
    for _ in range(FrameBook.NUMBER + 5):
        book.add("a", 0.0, "in", "")
    assert (book.last, len(book.since(0)), book.since(0)[0].number) == (FrameBook.NUMBER + 5, FrameBook.NUMBER, 6)
    book.add("a", 0.0, "out", b"x" * (FrameBook.BYTES - 2 * FRAME_BYTES))
    assert len(book.since(0)) == 2
