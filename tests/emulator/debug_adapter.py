"""A client of debugpy, as an editor is one: it speaks the Debug Adapter Protocol."""

from __future__ import annotations

import json
import socket
from typing import Any

from tests.emulator.harness import TIMEOUT


class DebugSession:
    """A session with one process, with one breakpoint."""

    def __init__(self, port: int, file: str, line: int, **arguments: Any) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self._answers = self._socket.makefile("rb")
        self._sent = 0
        self._ask("initialize", adapterID="test", pathFormat="path")
        self.send("attach", **{"subProcess": True, **arguments})
        self.event("initialized")
        self._ask("setBreakpoints", source={"path": file}, breakpoints=[{"line": line}])
        self._ask("configurationDone")

    def send(self, command: str, **arguments: Any) -> None:
        """Send one request."""
        self._sent += 1
        message = {"seq": self._sent, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    def event(self, name: str) -> Any:
        """Wait for an event, and return its body."""
        while (message := self._next()).get("event") != name:
            pass
        return message.get("body")

    def close(self) -> None:
        """End the session; the process goes on."""
        self._answers.close()
        self._socket.close()

    def _ask(self, command: str, **arguments: Any) -> None:
        self.send(command, **arguments)
        while self._next().get("command") != command:
            pass

    def _next(self) -> dict[str, Any]:
        length = 0
        while line := self._answers.readline().strip():
            length = int(line.partition(b":")[2])
        message: dict[str, Any] = json.loads(self._answers.read(length))
        assert message.get("success", True), message
        return message
