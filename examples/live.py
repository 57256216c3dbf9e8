"""A class over WebSocket, from its opening to its end: what each person receives is printed.

    python examples/live.py http://127.0.0.1:8080

It needs the package `websockets`, which the emulator has too.
"""

import json
import sys
import urllib.request
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosedOK, WebSocketException
from websockets.sync.client import ClientConnection, connect


def live(address: str, session: str, user: str, role: str) -> str:
    """The URL of a user's connection to a session. A handshake that is refused raises `InvalidStatus`."""
    query = urlencode({"user_id": user, "role": role, "session_id": session})
    return f"{address.replace('http', 'ws', 1)}/ws?{query}"


class Person:
    """Somebody who is connected to a session."""

    def __init__(self, user: str, socket: ClientConnection) -> None:
        self._user = user
        self._socket = socket

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
    with (
        connect(live(address, id_, "ms_noether", "instructor")) as teachers,
        connect(live(address, id_, "ann", "student")) as students,
    ):
        noether, ann = Person("ms_noether", teachers), Person("ann", students)
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
    except HTTPError as error:
        refusal = json.load(error)  # a problem of the service, or the gateway's own message
        sys.exit(f"{address}: {refusal.get('detail') or refusal.get('message')}")
    except (OSError, WebSocketException) as error:
        sys.exit(f"{address}: {error}")
