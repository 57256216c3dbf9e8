"""Connections to a PostgreSQL-protocol server: few, opened when needed, looked at before they are used again.

A container that serves one call after the other has one connection. Nothing is kept in a connection's session that
another could miss, so a pooler in transaction mode may stand in between: what is set is set for statements that the
server itself is known to hear, which is so when the process id it announced is the one that answers. A pooler
announces an id of its own, and gets no prepared statements and no settings.
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

_MOST = 8  # connections at once in one process

_DEFAULTS = {
    "application_name": "switchboard-sessions",
    "client_encoding": "utf8",
    "connect_timeout": "5",  # seconds, for each host
    "tcp_user_timeout": "10000",  # milliseconds until a server that does not acknowledge counts as gone
    "keepalives_idle": "30",  # seconds
    "target_session_attrs": "read-write",  # of several hosts the primary; a replica would answer from the past
}
"""Connection parameters (libpq's names) that the URL may replace."""

_LIMITS = (
    "SELECT set_config('statement_timeout', %s, false), set_config('idle_in_transaction_session_timeout', %s, false),"
    " set_config('lock_timeout', %s, false), set_config('enable_seqscan', 'off', false) WHERE pg_backend_pid() = %s"
)
"""(milliseconds three times, process id that was announced) -> a row when the server itself answered.

Every statement has its index. A plan that was made for a prepared statement while a table was small would go on
reading all of the table as it grows.
"""

_LOCK_PATIENCE = 2.0  # seconds that a statement waits for a lock, at most: others may be written meanwhile
_TRUSTED = 30_000  # milliseconds that a connection may have been idle: what stands in between forgets it without a word
_PROBE = 1.0  # seconds that an idle one has to answer in


def parameters(settings: Settings) -> dict[str, Any]:
    """The URL's connection parameters over the defaults. Raises `ConfigurationError`, which does not show the URL."""
    try:
        given = conninfo_to_dict(settings.database_url)
    except psycopg.Error:
        raise errors.ConfigurationError(f"{variable('database_url')} is not a valid postgresql:// URL") from None
    return _DEFAULTS | given


class Connections:
    """A small pool. What is taken is given back or discarded; `close` ends what is idle, and later what is in hand."""

    def __init__(self, settings: Settings) -> None:
        self._parameters = parameters(settings)
        self._timeout = _whole_seconds(self._parameters["connect_timeout"])
        self._hosts = str(self._parameters.get("host") or self._parameters.get("hostaddr") or "").count(",") + 1
        self.lock_patience = min(settings.busy_timeout_ms / 1000, settings.write_timeout_seconds, _LOCK_PATIENCE)
        self._limits = [_milliseconds(settings.write_timeout_seconds)] * 2 + [_milliseconds(self.lock_patience)]
        self._free = threading.Semaphore(_MOST)
        self._idle: list[Connection] = []
        self._closed = False
        self._process = os.getpid()

    def take(self, deadline: float, limit: float) -> Connection:
        """A connection that was alive a moment ago, got until `deadline` and given up at `limit`.

        Raises the `DatabaseError` family.
        """
        self._check_open()
        if not self._free.acquire(timeout=max(0.0, deadline - clock.elapsed())):
            raise errors.DatabaseBusyError
        try:
            connection = self._waiting() or self._connect(deadline)
            connection.limit = limit
            return connection
        except BaseException:
            self._free.release()
            raise

    def _waiting(self) -> Connection | None:
        """One that is idle, the last one first."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if _silent(connection) and (connection.idle_since.age() < _TRUSTED or _answers(connection)):
                return connection
            _close(connection)

    def give_back(self, connection: Connection) -> None:
        """Keep it for the next call, unless it is broken or in the middle of something."""
        if _is_idle(connection):
            connection.idle_since = clock.Moment.now()
            self._idle.append(connection)
        else:
            _close(connection)
        self._free.release()
        if self._closed:  # asked after the append, or a `close` in between would miss it
            self.close()

    def close(self) -> None:
        """Close what is idle; closing twice is fine."""
        self._closed = True
        if self._process != os.getpid():  # the parent's: a farewell from here would end them there
            return
        with suppress(IndexError):
            while True:
                _close(self._idle.pop())

    def connect(self, patience: float, limit: float = math.inf) -> Connection:
        """A connection beside the pool, for migrations: with the driver's own types."""
        self._check_open()
        return self._open(patience, limit)

    def _open(self, patience: float, limit: float, context: AdaptContext | None = None) -> Connection:
        """Every host has its share of the patience, in whole seconds and two at least, which is libpq's least."""
        timeout = max(2, min(self._timeout, int(patience / self._hosts)))
        given = self._parameters | {"connect_timeout": str(timeout)}
        try:
            connection = Connection.connect(**given, autocommit=True, prepare_threshold=None, context=context)
        except psycopg.Error as error:
            raise postgresql_errors.refused(error) from error
        connection.limit = limit
        _open_here.add(connection)
        return connection

    def _connect(self, deadline: float) -> Connection:
        patience = deadline - clock.elapsed()
        connection = self._open(patience, max(deadline, clock.elapsed()) + _PROBE, _AsTheServiceWrites())
        try:
            announced = connection.info.backend_pid
            if connection.execute(_LIMITS, (*self._limits, announced)).fetchall():
                connection.direct = True
        except psycopg.Error as error:  # an engine without one of these is served like a pooler
            if connection.closed:
                raise postgresql_errors.translate(error) or error from error
        return connection

    def _check_open(self) -> None:
        if self._closed or self._process != os.getpid():
            raise errors.DatabaseClosedError


_open_here: WeakSet[psycopg.Connection] = WeakSet()
"""Every connection of this process."""


def _let_go() -> None:
    """In a forked child: let its parent's connections be the parent's alone, which end when it dies.

    The child never uses them, but would keep the server from seeing that they are gone. They get another file to stand
    on, as closing them would free their numbers for files that are not theirs.
    """
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for connection in [*_open_here]:
        if not connection.closed:
            os.dup2(nowhere, connection.pgconn.socket, inheritable=False)
    os.close(nowhere)
    _open_here.clear()


os.register_at_fork(after_in_child=_let_go)


def _silent(connection: psycopg.Connection) -> bool:
    """Whether nothing came in unasked: a server that ends a connection says so, or closes the socket."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return not poll.poll(0)


def _answers(connection: Connection) -> bool:
    connection.limit = clock.elapsed() + _PROBE
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def _is_idle(connection: Connection) -> bool:
    """Whether it is whole, and in the middle of nothing."""
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


# --- values as the service writes them; in the binary format, which depends on no setting of the server


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


class _AsTheServiceWrites:
    """psycopg's adaptation context with these loaders."""

    adapters = AdaptersMap(psycopg.adapters)
    connection = None


_AsTheServiceWrites.adapters.register_loader("timestamptz", _Moment)
_AsTheServiceWrites.adapters.register_loader("uuid", _Identifier)
