"""A TCP proxy between the service and its server, for network faults: lost answers, lost packets, lost connections."""

import select
import socket
import threading
from contextlib import suppress
from types import TracebackType


class Proxy:
    """Forwards connections to the server, until a method changes that."""

    def __init__(self, port: int) -> None:
        self._server = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._lock = threading.Lock()
        self._refusing = False
        self._pairs: list[_Pair] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        self.drop()

    def lose_answers(self) -> None:
        """From now on, lose what the server sends on the existing connections."""
        for pair in self._pairs:
            pair.answers = False

    def lose_everything(self) -> None:
        """From now on, lose everything on the existing connections, and keep them open."""
        for pair in self._pairs:
            pair.answers = pair.requests = False

    def refuse(self, *, refused: bool = True) -> None:
        """From now on, refuse new connections; with `refused=False`, accept them again."""
        self._refusing = refused

    def drop(self) -> None:
        """Close every connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self._refusing:
                client.close()
                continue
            with self._lock:
                self._pairs.append(_Pair(client, socket.create_connection(("127.0.0.1", self._server))))


class _Pair:
    """One connection through the proxy."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.requests = self.answers = True
        self._client = client
        self._server = server
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()

    def close(self) -> None:
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _forward(self) -> None:
        with self._client, self._server:
            while True:
                readable, _, _ = select.select([self._client, self._server], [], [])
                for end in readable:
                    try:
                        some = end.recv(65536)
                        if not some:
                            return
                        if end is self._client and self.requests:
                            self._server.sendall(some)
                        elif end is self._server and self.answers:
                            self._client.sendall(some)
                    except OSError:
                        return
