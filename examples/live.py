"""A class over WebSocket, from its opening to its end: what each person receives is printed.

    python examples/live.py http://127.0.0.1:8080

It needs the package `websockets`, which the emulator has too.
"""

import json
import sys
import urllib.request
from typing import Any
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosedOK, WebSocketException
from websockets.sync.client import ClientConnection, connect


class Person:
    """Somebody who is connected to a session."""

    def __init__(self, address: str, session: str, user: str, role: str) -> None:
        query = urlencode({"user_id": user, "role": role, "session_id": session})
        self._user = user
        self._socket: ClientConnection = connect(f"{address.replace('http', 'ws', 1)}/ws?{query}")

    def send(self, type_: str, text: str, to: str | None = None) -> None:
        """Send a message, to one student or to whom its type is for."""
        message: dict[str, Any] = {"type": type_, "content": {"text": text}}
        self._socket.send(json.dumps(message if to is None else message | {"to_user": to}))

    def receive(self) -> Any:
        """The next frame, which is printed."""
        frame = self._socket.recv(timeout=30)
        print(f"{self._user} receives {frame!s}")
        return json.loads(frame)

    def receive_history(self) -> None:
        """What was sent before, up to the frame that ends it."""
        while self.receive()["content"].get("event") not in ("history_complete", "history_unavailable"):
            pass

    def wait_for_the_close(self) -> None:
        """The gateway closes a connection whose session has ended. An application must not open it again."""
        try:
            self._socket.recv(timeout=30)
        except ConnectionClosedOK:
            print(f"{self._user} is disconnected")


def ask(method: str, url: str, body: Any = None) -> Any:
    """One call over HTTP."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=30) as answer:
        return json.load(answer)


def main(address: str) -> None:
    """One class."""
    sessions = f"{address}/api/sessions"
    session = ask("POST", sessions, {"name": "Fractions", "instructor_id": "ms_noether", "student_ids": ["ann", "bob"]})
    id_ = session["session"]["id"]
    noether = Person(address, id_, "ms_noether", "instructor")
    ann = Person(address, id_, "ann", "student")
    for person in (noether, ann):
        person.receive_history()
    noether.send("request", "What is 1/2 + 1/4?", to="ann")
    ann.receive()
    ann.send("request_response", "3/4")
    noether.receive()
    ask("DELETE", f"{sessions}/{id_}")
    for person in (noether, ann):
        person.receive()
        person.wait_for_the_close()


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
    try:
        main(address)
    except (OSError, WebSocketException) as error:
        sys.exit(f"{address}: {error}")
