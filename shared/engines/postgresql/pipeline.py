"""Statements that go out together and come back together: libpq's pipeline mode (PostgreSQL documentation, 32.5).

psycopg has a pipeline of its own, which looks at the socket and gives up the interpreter at each statement: with many
callers waiting for it that takes longer than the statements. This one queues them in libpq and goes to the network
when somebody wants rows, or at the end. A single statement takes the same way.
"""

import math
import re
import select
from collections.abc import Generator, Mapping
from contextlib import suppress
from functools import cached_property, lru_cache
from typing import Any

import psycopg
from psycopg import abc, pq
from psycopg.adapt import Transformer

from shared import clock
from shared.engines import Bindings, Row

_PLACEHOLDER = re.compile(r"%(?:s|\((\w+)\)s)")
_SENT_AT_ONCE = 8  # statements: the server begins with the first while the last are still being written
_ROWS_AT_ONCE = 256  # of a stream
_FORGOTTEN = ("26000", "0A000")  # SQLSTATEs: no such prepared statement, or it has become another one
_LAST_WORDS = (b"FATAL", b"PANIC")
_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED)


class Connection(psycopg.Connection):
    """A connection that knows which statements it has prepared, and until when an answer is waited for."""

    direct = False
    """Whether the server itself is on the other side: only there may statements be prepared."""

    limit = math.inf
    """On `clock.elapsed`. A server that has not answered by then may never do so: the connection is given up."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.prepared: dict[str, bytes] = {}
        self.named = 0
        self.idle_since = clock.Moment.now()

    @cached_property
    def transformer(self) -> abc.Transformer:
        """What turns answers into Python's values; it takes the loaders that there are when it is made."""
        return Transformer(self)

    def left(self) -> float:
        """Seconds until the limit, a day at most: what waits takes no infinity."""
        return min(86_400.0, max(0.0, self.limit - clock.elapsed()))

    def wait(self, gen: abc.PQGen[abc.RV], interval: float = 0.1, timeout: float | None = None) -> abc.RV:
        """Every wait of psycopg's own."""
        try:
            return super().wait(gen, interval, self.left() if timeout is None else timeout)
        except psycopg.OperationalError:
            if clock.elapsed() >= self.limit:
                self.close()
            raise


class Answer:
    """What a queued statement will have given back."""

    def __init__(self, pipeline: "Pipeline") -> None:
        self._pipeline = pipeline
        self.rows: list[Row] = []
        self.complete = False

    def fetchall(self) -> list[Row]:
        """Its rows; they are waited for where they are not there yet. Raises `psycopg.Error`."""
        if not self.complete:
            self._pipeline.read(self)
        return self.rows


class Pipeline:
    """One exchange with the server, from the first statement to `finish`.

    Without a `BEGIN` in it, it is one transaction that commits at its end.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._libpq = connection.pgconn
        self._expected: list[Answer | str | None] = []  # a statement that is only prepared; None where a part ends
        self._read = 0
        self._error: psycopg.Error | None = None
        self._libpq.enter_pipeline_mode()

    def execute(self, statement: str, bindings: Bindings = ()) -> Answer:
        """Queue a statement; parameters are text, numbers or None. Raises `psycopg.Error`."""
        text, names = _numbered(statement)
        values = _encoded(names, bindings)
        name = self._prepared(statement, text)
        if name is None:
            self._libpq.send_query_params(text, values, result_format=pq.Format.BINARY)
        else:
            self._libpq.send_query_prepared(name, values, result_format=pq.Format.BINARY)
        answer = Answer(self)
        self._expected.append(answer)
        if len(self._expected) % _SENT_AT_ONCE == 0:
            self._libpq.flush()
        return answer

    def read(self, answer: Answer) -> None:
        """Wait for the rows of one statement, and of those before it; only behind a `BEGIN`.

        The server then waits for more as for a client that is idle in its transaction, and no longer than it would.
        """
        if self._error is None:
            self._libpq.pipeline_sync()
            self._expected.append(None)
            while not answer.complete and self._error is None:
                self._next()
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """Have everything done, and leave the connection ready for the next exchange. Raises what went wrong first."""
        self._libpq.pipeline_sync()
        self._expected.append(None)
        while self._read < len(self._expected):
            self._next()
        if not self._connection.closed:
            self._libpq.exit_pipeline_mode()
        if self._error is not None:
            if self._error.sqlstate in _FORGOTTEN:
                self._connection.prepared.clear()
            raise self._error

    def _prepared(self, statement: str, text: bytes) -> bytes | None:
        connection = self._connection
        if not connection.direct:
            return None
        name = connection.prepared.get(statement)
        if name is None:
            connection.named += 1
            name = connection.prepared[statement] = b"switchboard_%d" % connection.named
            self._libpq.send_prepare(name, text)
            self._expected.append(statement)
        return name

    def _next(self) -> None:
        """Take in the answer to the next statement, in as many parts as it comes."""
        expected = self._expected[self._read]
        while (result := _result(self._connection)) is not None:
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                break
            if result.status in _FAILED:
                self._error = self._error or psycopg.errors.error_from_result(result)
                if result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) in _LAST_WORDS:
                    self._connection.close()  # perhaps behind the commit, whose answer then is of no use
                    raise self._error
                if isinstance(expected, str):
                    del self._connection.prepared[expected]
            elif isinstance(expected, Answer) and result.ntuples:
                expected.rows += _rows(self._connection, result)
        if isinstance(expected, Answer):
            expected.complete = True
        self._read += 1


def alone(connection: Connection, statement: str, bindings: Bindings = ()) -> Answer:
    """The answer to one statement, which is its own transaction. Raises `psycopg.Error`."""
    pipeline = Pipeline(connection)
    answer = pipeline.execute(statement, bindings)
    pipeline.finish()
    return answer


def stream(connection: Connection, statement: str, bindings: Bindings = ()) -> Generator[Row, None, None]:
    """The rows of one read, some of which are fetched at a time. Who leaves early closes it. Raises `psycopg.Error`."""
    text, names = _numbered(statement)
    libpq = connection.pgconn
    libpq.send_query_params(text, _encoded(names, bindings), result_format=pq.Format.BINARY)
    with suppress(psycopg.NotSupportedError):  # a libpq before 17 fetches all of them
        libpq.set_chunked_rows_mode(_ROWS_AT_ONCE)
    error: psycopg.Error | None = None
    try:
        while (result := _result(connection)) is not None:
            if result.status in _FAILED:
                error = psycopg.errors.error_from_result(result)
            yield from _rows(connection, result)
    except GeneratorExit:
        _leave(connection)
        raise
    if error is not None:
        raise error


def _leave(connection: Connection) -> None:
    """Read what is left, which is nothing in most cases, or have the server stop."""
    result = _result(connection)
    if result is not None and result.status == pq.ExecStatus.TUPLES_CHUNK:
        connection.cancel_safe(timeout=connection.left())
    while result is not None:
        result = _result(connection)


def _result(connection: Connection) -> pq.abc.PGresult | None:
    libpq = connection.pgconn
    while True:
        unsent = libpq.flush()
        if not libpq.is_busy():
            return libpq.get_result()
        poll = select.poll()
        poll.register(libpq.socket, select.POLLIN | (select.POLLOUT if unsent else 0))
        if not poll.poll(1000 * connection.left()):
            connection.close()
            raise psycopg.OperationalError("the server did not answer in time")
        libpq.consume_input()


def _rows(connection: Connection, result: pq.abc.PGresult) -> list[Row]:
    if not result.ntuples:
        return []
    connection.transformer.set_pgresult(result)
    return connection.transformer.load_rows(0, result.ntuples, tuple)


def _encoded(names: tuple[str, ...], bindings: Bindings) -> list[bytes | None]:
    values = [bindings[name] for name in names] if isinstance(bindings, Mapping) else bindings
    return [None if value is None else str(value).encode() for value in values]


@lru_cache(maxsize=256)
def _numbered(statement: str) -> tuple[bytes, tuple[str, ...]]:
    """The statement as the server wants it, `$1` for the first parameter, and their names in this order."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        name = match[1]
        if name is None or name not in names:
            names.append(name or "")
            return f"${len(names)}"
        return f"${names.index(name) + 1}"

    return _PLACEHOLDER.sub(number, statement).encode(), tuple(names)
