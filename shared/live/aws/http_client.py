"""HTTP/1.1 to one server over connections that are kept: for small requests, from any number of threads.

A call ends by its deadline, whatever the server does; only a resolver of names has time limits of its own. Environment
variables for proxies have no effect. `http.client` parses the answers. It could not do the rest: its time-outs are for
one read, and it sends a head and a body apart.
"""

import contextlib
import http.client
import io
import select
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import cast
from urllib.parse import urlsplit

import msgspec

from shared import clock

KEPT = 64
"""How many idle connections are kept."""

_KEEP_MS = 20_000  # AWS closes idle connections later, and what it says is lost while a container is frozen
_ANSWER_BYTES = 65_536  # of a body; the answers to these calls are empty or say what is wrong


class Answer(msgspec.Struct, frozen=True):
    """What the server answered."""

    status: int
    error_type: str
    body: bytes


class UnreachableError(Exception):
    """The server has not got the whole request, so it has had no effect."""


class NoAnswerError(Exception):
    """The server got the request and hung up, or did not answer in time. The request may have had its effect."""


class UntrustedServerError(Exception):
    """The server has no certificate for its name from an authority that this machine trusts."""


class _NotTakenError(Exception):
    """A kept connection had been closed by the server: the request may be sent again."""


class HttpClient:
    """Calls to one server: `url` is `http` or `https`, and its path is put before that of every call."""

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self.path = parts.path
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._address = parts.hostname, parts.port or (443 if self._tls else 80)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: list[tuple[socket.socket, clock.Moment]] = []

    def call(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, repeatable: bool = False
    ) -> Answer:
        """Send one request and wait for its answer; `headers` include `host`.

        What a kept connection may have lost is sent again on a new one: always when the server cannot have taken it,
        and a `repeatable` request also when it hung up without an answer. Raises `UnreachableError`,
        `NoAnswerError`, `UntrustedServerError`.
        """
        lines = (f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()))
        head = "\r\n".join((*lines, f"content-length: {len(body)}", "", "")).encode("latin-1")
        deadline = clock.elapsed() + self._timeout
        try:
            kept = self._take()
            if kept is not None:
                with contextlib.suppress(_NotTakenError):
                    return self._exchange(kept, method, head + body, deadline, kept=True, repeatable=repeatable)
            return self._exchange(self._connect(deadline), method, head + body, deadline)
        except ssl.SSLCertVerificationError as error:
            raise UntrustedServerError(f"{self.host}: {error.verify_message}") from error
        except (OSError, ValueError) as error:
            raise UnreachableError(f"{self.host}: {_text(error)}") from error

    def close(self) -> None:
        """Close the idle connections. A call may follow: it opens a new one."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def _take(self) -> socket.socket | None:
        """The connection that was used last, unless the server has closed it since or it is too old."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since = self._idle.pop()
            if since.age() < _KEEP_MS and not _readable(connection):
                return connection
            connection.close()

    def _keep(self, connection: socket.socket) -> None:
        with self._lock:
            if len(self._idle) < KEPT:
                self._idle.append((connection, clock.Moment.now()))
                return
        connection.close()

    def _connect(self, deadline: float) -> socket.socket:
        """A new connection to the first address of the server that accepts one."""
        failure: OSError = OSError("its name has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(*self._address, type=socket.SOCK_STREAM):
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(_left(deadline))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.connect(address)
                return self._tls.wrap_socket(connection, server_hostname=self._address[0]) if self._tls else connection
            except BaseException as error:
                connection.close()
                if not isinstance(error, OSError):
                    raise
                failure = error
        raise failure

    def _exchange(
        self,
        connection: socket.socket,
        method: str,
        request: bytes,
        deadline: float,
        *,
        kept: bool = False,
        repeatable: bool = False,
    ) -> Answer:
        with _closed_on_failure(connection):
            try:
                unsent = memoryview(request)
                while unsent:
                    connection.settimeout(_left(deadline))
                    unsent = unsent[connection.send(unsent) :]
            except (ConnectionError, ssl.SSLError) as error:
                if kept:  # not all of it could be sent, and nobody acts on a part
                    raise _NotTakenError from error
                raise
            # Its parameter is a socket, of which it uses `makefile` alone.
            response = http.client.HTTPResponse(cast(socket.socket, _Reading(connection, deadline)), method=method)
            with contextlib.closing(response):
                try:
                    response.begin()
                    body = response.read(_ANSWER_BYTES)
                except (OSError, http.client.HTTPException, ValueError) as error:
                    if repeatable and isinstance(error, ConnectionError):
                        raise _NotTakenError from error
                    raise NoAnswerError(f"{self.host}: {_text(error)}") from error
                complete = response.isclosed()
            answer = Answer(response.status, response.headers.get("x-amzn-errortype", ""), body)
        if complete and not response.will_close:
            self._keep(connection)
        else:
            connection.close()
        return answer


class _Reading(io.RawIOBase):
    """What a connection sends, until the deadline."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)


@contextlib.contextmanager
def _closed_on_failure(connection: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _readable(connection: socket.socket) -> bool:
    """Whether an idle connection has something to read: its end, since nothing was asked."""
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    return bool(waiting.poll(0))


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _left(deadline: float) -> float:
    left = deadline - clock.elapsed()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
