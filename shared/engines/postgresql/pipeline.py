"""Statements that are sent together and answered together: libpq's pipeline mode (PostgreSQL documentation, 32.5).

psycopg has a pipeline too, but it polls the socket and releases the interpreter (the GIL) at each statement. With many
waiting threads that takes longer than the statements themselves. This one queues the statements in libpq and uses the
network only when rows are read and at the end. A single statement runs the same way.
"""

import math
import re
import select
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from functools import cached_property, lru_cache
from typing import Any

import psycopg
from psycopg import abc, pq
from psycopg.adapt import Transformer

from shared import clock
from shared.engines import Bindings, Row

_PLACEHOLDER = re.compile(r"%(?:s|\((\w+)\)s)")
_SENT_AT_ONCE = 8  # statements: the server can run the first ones while later ones are queued
_ROWS_AT_ONCE = 256  # that a stream fetches
_NOT_PREPARED = ("26000", "0A000")  # SQLSTATEs: no such prepared statement, or its result type has changed
_CONNECTION_ENDS = (b"FATAL", b"PANIC")
_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED)


class Connection(psycopg.Connection):
    """A connection with its prepared statements and a time limit for answers."""

    direct = False
    """Whether there is no pooler in between. Statements are prepared only on a direct connection."""

    limit = math.inf
    """By `clock.elapsed`. If the server has not answered by then, the connection is closed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.prepared: dict[str, bytes] = {}
        self.named = 0
        self.idle_since = clock.Moment.now()

    @cached_property
    def transformer(self) -> abc.Transformer:
        """Converts answers to Python values; it uses the loaders that are registered when it is made."""
        return Transformer(self)

    def left(self) -> float:
        """Seconds until the limit, at most a day: `poll` takes no infinity."""
        return min(86_400.0, max(0.0, self.limit - clock.elapsed()))

    def wait(self, gen: abc.PQGen[abc.RV], interval: float = 0.1, timeout: float | None = None) -> abc.RV:
        """Like psycopg's own, and no longer than until the limit."""
        try:
            return super().wait(gen, interval, self.left() if timeout is None else timeout)
        except psycopg.OperationalError:
            if clock.elapsed() >= self.limit:
                self.close()
            raise


class Answer:
    """The answer to a queued statement."""

    def __init__(self, pipeline: "Pipeline") -> None:
        self._pipeline = pipeline
        self.rows: list[Row] = []
        self.complete = False

    def __iter__(self) -> Iterator[Row]:
        """Every row, all of which have arrived. Raises `psycopg.Error`."""
        return iter(self.fetchall())

    def fetchall(self) -> list[Row]:
        """Every row; waits until they have arrived. Raises `psycopg.Error`."""
        if not self.complete:
            self._pipeline.read(self)
        return self.rows


class Pipeline:
    """One use of pipeline mode, from the first statement to `finish`.

    Without a `BEGIN` its statements are one transaction, which `finish` commits.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._libpq = connection.pgconn
        self._expected: list[Answer | str | None] = []  # a text: this statement is being prepared; None: a sync
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
        """Wait for the rows of one statement, and of those before it. Only after a `BEGIN`.

        After that the transaction is idle, and the server's `idle_in_transaction_session_timeout` applies.
        """
        if self._error is None:
            self._libpq.pipeline_sync()
            self._expected.append(None)
            while not answer.complete and self._error is None:
                self._next()
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """Wait for every statement, and leave pipeline mode. Raises the first error."""
        self._libpq.pipeline_sync()
        self._expected.append(None)
        while self._read < len(self._expected):
            self._next()
        if not self._connection.closed:
            self._libpq.exit_pipeline_mode()
        if self._error is not None:
            if self._error.sqlstate in _NOT_PREPARED:
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
        """Read the whole answer to the next statement."""
        expected = self._expected[self._read]
        while (result := _result(self._connection)) is not None:
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                break
            if result.status in _FAILED:
                self._error = self._error or psycopg.errors.error_from_result(result)
                if result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) in _CONNECTION_ENDS:
                    self._connection.close()  # it may come after the answer to the COMMIT, which then proves nothing
                    raise self._error
                if isinstance(expected, str):
                    del self._connection.prepared[expected]
            elif isinstance(expected, Answer) and result.ntuples:
                expected.rows += _rows(self._connection, result)
        if isinstance(expected, Answer):
            expected.complete = True
        self._read += 1


def execute_one(connection: Connection, statement: str, bindings: Bindings = ()) -> Answer:
    """Run one statement as its own transaction, and return its answer. Raises `psycopg.Error`."""
    pipeline = Pipeline(connection)
    answer = pipeline.execute(statement, bindings)
    pipeline.finish()
    return answer


def stream(connection: Connection, statement: str, bindings: Bindings = ()) -> Generator[Row, None, None]:
    """The rows of one read, fetched in parts. Close the generator to stop early. Raises `psycopg.Error`."""
    text, names = _numbered(statement)
    libpq = connection.pgconn
    libpq.send_query_params(text, _encoded(names, bindings), result_format=pq.Format.BINARY)
    with suppress(psycopg.NotSupportedError):  # libpq before 17 fetches all rows at once
        libpq.set_chunked_rows_mode(_ROWS_AT_ONCE)
    error: psycopg.Error | None = None
    try:
        while (result := _result(connection)) is not None:
            if result.status in _FAILED:
                error = psycopg.errors.error_from_result(result)
            yield from _rows(connection, result)
    except GeneratorExit:
        _discard_rest(connection)
        raise
    if error is not None:
        raise error


def _discard_rest(connection: Connection) -> None:
    """Cancel the statement if rows are left, and read the rest of its answer."""
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
    """The statement with the server's placeholders (`$1`, `$2`), and the parameters' names in that order."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        name = match[1]
        if name is None or name not in names:
            names.append(name or "")
            return f"${len(names)}"
        return f"${names.index(name) + 1}"

    return _PLACEHOLDER.sub(number, statement).encode(), tuple(names)
