"""A small pool of connections to a PostgreSQL server. They are opened on demand and checked before each use.

An execution environment that serves one call at a time has one connection. A pooler in transaction mode may be between
this process and the server, so session settings and prepared statements are used only on a direct connection. A
connection is direct when the process id that was announced at its start is the one that a query returns: a pooler
announces an id of its own.
"""

import math
import os
import select
import struct
import threading
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from weakref import WeakSet

import psycopg
from psycopg import pq
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg.conninfo import conninfo_to_dict

from shared import clock, errors
from shared.config import Settings, variable
from shared.engines.postgresql import errors as postgresql_errors
from shared.engines.postgresql.pipeline import Connection

_MAX_CONNECTIONS = 8  # in one process

_DEFAULTS = {
    "application_name": "switchboard-sessions",
    "client_encoding": "utf8",
    "connect_timeout": "5",  # seconds, for each host
    "tcp_user_timeout": "10000",  # milliseconds until a server that acknowledges nothing counts as lost
    "keepalives_idle": "30",  # seconds
    "target_session_attrs": "read-write",  # of several hosts the primary: a replica may lag behind
}
"""Connection parameters, by libpq's names. The URL may override them."""

_LIMITS = (
    "SELECT set_config('statement_timeout', %s, false), set_config('idle_in_transaction_session_timeout', %s, false),"
    " set_config('lock_timeout', %s, false), set_config('enable_seqscan', 'off', false) WHERE pg_backend_pid() = %s"
)
"""(three times milliseconds, announced process id) -> one row if the connection is direct.

`enable_seqscan` is off because every statement has an index. Otherwise a statement that was prepared while a table was
small would keep reading the whole table while it grows.
"""

_MAX_LOCK_TIMEOUT = 2.0  # seconds that a statement waits for a lock at most: its batch has other writes too
_PROBE_AFTER = 30_000  # milliseconds without use after which a connection is probed: a firewall may have dropped it
_PROBE_TIMEOUT = 1.0  # seconds


def parameters(settings: Settings) -> dict[str, Any]:
    """The defaults, overridden by the URL. Raises `ConfigurationError`, which does not contain the URL."""
    try:
        given = conninfo_to_dict(settings.database_url)
    except psycopg.Error:
        raise errors.ConfigurationError(f"{variable('database_url')} is not a valid postgresql:// URL") from None
    return _DEFAULTS | given


class Connections:
    """The pool. `close` closes the idle connections; one that is in use is closed when it is given back."""

    def __init__(self, settings: Settings) -> None:
        self._parameters = parameters(settings)
        self._timeout = _whole_seconds(self._parameters["connect_timeout"])
        self._hosts = str(self._parameters.get("host") or self._parameters.get("hostaddr") or "").count(",") + 1
        self.lock_timeout = min(settings.busy_timeout_ms / 1000, settings.write_timeout_seconds, _MAX_LOCK_TIMEOUT)
        self._limits = [_milliseconds(settings.write_timeout_seconds)] * 2 + [_milliseconds(self.lock_timeout)]
        self._free = threading.Semaphore(_MAX_CONNECTIONS)
        self._idle: list[Connection] = []
        self._closed = False
        self._process = os.getpid()

    def take(self, deadline: float, limit: float) -> Connection:
        """A checked connection, found or opened until `deadline`. It is closed if an answer is late for `limit`.

        Raises the `DatabaseError` family.
        """
        self._check_open()
        if not self._free.acquire(timeout=max(0.0, deadline - clock.elapsed())):
            raise errors.DatabaseBusyError
        try:
            connection = self._usable_idle() or self._connect(deadline)
            connection.limit = limit
            return connection
        except BaseException:
            self._free.release()
            raise

    def _usable_idle(self) -> Connection | None:
        """An idle connection that still works, the last one used first; None when there is none."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if _has_no_input(connection) and (connection.idle_since.age() < _PROBE_AFTER or _answers(connection)):
                return connection
            _close(connection)

    def give_back(self, connection: Connection) -> None:
        """Keep the connection for the next use; close it if it is broken or in a transaction."""
        if _is_idle(connection):
            connection.idle_since = clock.Moment.now()
            self._idle.append(connection)
        else:
            _close(connection)
        self._free.release()
        if self._closed:  # checked after the append: a concurrent `close` may have missed the connection
            self.close()

    def close(self) -> None:
        """Close the idle connections. Closing twice is allowed."""
        self._closed = True
        if self._process != os.getpid():  # they belong to the parent process: closing them here would end them there
            return
        with suppress(IndexError):
            while True:
                _close(self._idle.pop())

    def connect(self, timeout: float, limit: float = math.inf) -> Connection:
        """A connection outside the pool, for migrations, with the driver's own types."""
        self._check_open()
        return self._open(timeout, limit)

    def _open(self, timeout: float, limit: float, context: AdaptContext | None = None) -> Connection:
        """Each host gets an equal part of the timeout: whole seconds, and at least libpq's minimum of two."""
        host_timeout = max(2, min(self._timeout, int(timeout / self._hosts)))
        given = self._parameters | {"connect_timeout": str(host_timeout)}
        try:
            connection = Connection.connect(**given, autocommit=True, prepare_threshold=None, context=context)
        except psycopg.Error as error:
            raise postgresql_errors.refused(error) from error
        connection.limit = limit
        _of_this_process.add(connection)
        return connection

    def _connect(self, deadline: float) -> Connection:
        timeout = deadline - clock.elapsed()
        connection = self._open(timeout, max(deadline, clock.elapsed()) + _PROBE_TIMEOUT, _ServiceTypes())
        try:
            announced = connection.info.backend_pid
            if connection.execute(_LIMITS, (*self._limits, announced)).fetchall():
                connection.direct = True
        except psycopg.Error as error:  # a server without one of these settings: treated like a pooler
            if connection.closed:
                raise postgresql_errors.translate(error) or error from error
        return connection

    def _check_open(self) -> None:
        if self._closed or self._process != os.getpid():
            raise errors.DatabaseClosedError


_of_this_process: WeakSet[psycopg.Connection] = WeakSet()
"""Every connection of this process."""


def _release_inherited() -> None:
    """In a forked child: release the parent's sockets.

    The child never uses them. But as long as it holds them, the server does not see that the parent has died. Each
    descriptor is pointed to `/dev/null` and not closed: a closed number could be reused for another file, which
    the inherited connection object would then close.
    """
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for connection in [*_of_this_process]:
        if not connection.closed:
            os.dup2(nowhere, connection.pgconn.socket, inheritable=False)
    os.close(nowhere)
    _of_this_process.clear()


os.register_at_fork(after_in_child=_release_inherited)


def _has_no_input(connection: psycopg.Connection) -> bool:
    """Whether nothing has arrived: a server that ends an idle connection sends a message or closes the socket."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return not poll.poll(0)


def _answers(connection: Connection) -> bool:
    connection.limit = clock.elapsed() + _PROBE_TIMEOUT
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def _is_idle(connection: Connection) -> bool:
    """Whether it is open, outside a transaction and outside pipeline mode."""
    libpq = connection.pgconn
    return (
        not connection.closed
        and libpq.transaction_status == pq.TransactionStatus.IDLE
        and libpq.pipeline_status == pq.PipelineStatus.OFF
    )


def _whole_seconds(timeout: str) -> int:
    try:
        return max(2, int(timeout))
    except ValueError:
        raise errors.ConfigurationError(f"connect_timeout in {variable('database_url')} is no number") from None


def _milliseconds(seconds: float) -> str:
    return str(max(1, int(seconds * 1000)))


def _close(connection: psycopg.Connection) -> None:
    with suppress(psycopg.Error):
        connection.close()


# --- values in the formats of the service, read in the binary format, which no server setting changes


class _Moment(Loader):
    """timestamptz -> the text of `shared.clock`."""

    format = pq.Format.BINARY

    def load(self, data: Buffer) -> str:
        seconds, microseconds = divmod(_integer(data)[0], 1_000_000)
        return f"{_second(seconds)}.{microseconds:06d}Z"


class _Identifier(Loader):
    """uuid -> its canonical text."""

    format = pq.Format.BINARY

    def load(self, data: Buffer) -> str:
        digits = bytes(data).hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_integer = struct.Struct("!q").unpack
_EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001  PostgreSQL counts from here, in UTC


@lru_cache(maxsize=1024)
def _second(since_epoch: int) -> str:
    return (_EPOCH + timedelta(seconds=since_epoch)).isoformat()


class _ServiceTypes:
    """psycopg's adaptation context with these loaders."""

    adapters = AdaptersMap(psycopg.adapters)
    connection = None


_ServiceTypes.adapters.register_loader("timestamptz", _Moment)
_ServiceTypes.adapters.register_loader("uuid", _Identifier)
