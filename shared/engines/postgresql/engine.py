"""The engine for PostgreSQL and for databases that speak its protocol.

There is no lock across processes: transactions of different processes run concurrently, and the server isolates them.
The statements of a batch are pipelined: they are sent together and their answers come back together. So a batch takes
as many round trips as one write.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import TypeVar

import psycopg
from peewee import PostgresqlDatabase, Psycopg3Adapter
from psycopg.pq import TransactionStatus

from shared import clock, engines, errors
from shared.config import Settings
from shared.engines import Bindings, Row
from shared.engines.postgresql.connections import Connections
from shared.engines.postgresql.errors import translate
from shared.engines.postgresql.pipeline import Answer, Connection, Pipeline, execute_one, stream
from shared.models import POSTGRESQL_MODELS
from shared.retries import persist

T = TypeVar("T")

_MIGRATION_LOCK = 0x73776974  # the number of an advisory lock; no other program should use it
_GRACE = 1.0  # seconds after a deadline, in which the server can still report that its own time limit was reached
_INSPECTION_TIMEOUT = 5.0  # seconds for reading which tables there are

# Every column and every index, with the oid of its table or index: one that is made again has another.
_SCHEMA_VERSION = """
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
  SELECT concat_ws(' ', c.oid, c.relname, a.attnum, a.attname, a.atttypid, a.attnotnull) AS line
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
  UNION ALL
  SELECT concat_ws(' ', c.oid, c.relname, i.indisvalid, pg_get_indexdef(c.oid))
  FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
  WHERE c.relnamespace = current_schema()::regnamespace
) AS catalogue
"""


class PostgresqlEngine:
    """One database on a server. Any thread may call its methods; from `begin` to `release` only one at a time."""

    kind = "postgresql"
    models = POSTGRESQL_MODELS
    savepoints = False
    waits_for_batch = True

    def __init__(self, settings: Settings) -> None:
        """Opens no connection yet. Raises `ConfigurationError`."""
        self._connections = Connections(settings)
        self._read_timeout = settings.busy_timeout_ms / 1000
        self._batch: _Batch | None = None
        self.dialect = _Dialect(self._connections)

    def exists(self) -> bool:
        """True: the database is created by the administrator of the server."""
        return True

    def schema_version(self) -> str | None:
        """A checksum of the catalogue's rows about the tables and indexes, in one round trip."""
        ((checksum,),) = self.fetch(_SCHEMA_VERSION)
        return str(checksum)

    # --- reads

    def fetch(self, statement: str, bindings: Bindings = ()) -> list[Row]:
        """Every row of a read."""
        return self._read(lambda connection: execute_one(connection, statement, bindings).rows)

    def walk(self, statement: str, bindings: Bindings, read: Callable[[Iterator[Row]], T]) -> T:
        """What `read` returns for the rows, which are fetched in parts; `read` may stop early."""

        def streamed(connection: Connection) -> T:
            with closing(stream(connection, statement, bindings)) as rows:
                return read(rows)

        return self._read(streamed)

    def snapshot(self, read: Callable[[engines.Connection], T]) -> T:
        """What `read` returns for a connection on which every read sees the same state of the database."""

        def in_transaction(connection: Connection) -> T:
            pipeline = Pipeline(connection)
            pipeline.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            found = read(pipeline)
            pipeline.execute("COMMIT")
            pipeline.finish()
            return found

        return self._read(in_transaction)

    def _read(self, read: Callable[[Connection], T]) -> T:
        """Run a read; retry it after a lost connection or a lost race, for `SWITCHBOARD_BUSY_TIMEOUT_MS`."""
        deadline = clock.elapsed() + self._read_timeout

        def attempt() -> T:
            connection = self._connections.take(deadline, deadline)
            try:
                return read(connection)
            except psycopg.Error as error:
                raise self._translated(error, connection) or error from error
            finally:
                self._connections.give_back(connection)

        return persist(attempt, deadline)

    # --- writes

    def begin(self, deadline: float) -> engines.Connection:
        """A connection for a batch. Its transaction begins with its first statement.

        The answers must arrive by the deadline, or later if the server may make a statement wait for a lock for longer.
        """
        limit = max(deadline, clock.elapsed() + self._connections.lock_timeout) + _GRACE
        self._batch = _Batch(self._connections.take(deadline, limit))
        return self._batch

    def allow_autocommit(self) -> None:
        """The batch is one statement: it is its own transaction, and no lock outlives it."""
        self._writing().single = True

    def commit(self) -> None:
        """Commit the batch. Raises the `DatabaseError` family."""
        try:
            self._writing().commit()
        except psycopg.Error as error:
            raise self.failure(error) or error from error

    def in_transaction(self) -> bool:
        """Whether a transaction has begun and none of its statements has failed."""
        return self._writing().begun

    def rollback(self) -> None:
        """Undo the transaction; never raises."""
        if self._batch is not None:
            self._batch.rollback()

    def maintain(self) -> None:
        """Nothing: the server does its own maintenance."""

    def release(self) -> None:
        """Return the connection to the pool."""
        batch, self._batch = self._writing(), None
        self._connections.give_back(batch.connection)

    def _writing(self) -> "_Batch":
        assert self._batch is not None
        return self._batch

    def failure(self, error: BaseException) -> errors.DatabaseError | None:
        """The service's error for an exception of psycopg or peewee; None for any other exception."""
        if self._batch is None:
            return translate(error)
        unknown = self._batch.outcome_unknown(error)
        failure = self._translated(error, self._batch.connection)
        if failure is not None and unknown:
            failure.outcome_unknown = True
        return failure

    def _translated(self, error: BaseException, connection: Connection) -> errors.DatabaseError | None:
        failure = translate(error)
        if isinstance(failure, errors.DatabaseReadOnlyError) and failure.transient:
            connection.close()  # this server is not the primary any more: the next connection looks for the new one
        return failure

    # --- migrations

    @contextmanager
    def exclusive(self, deadline: float) -> Iterator[None]:
        """Hold an advisory lock, so that no other process runs migrations. It ends with its transaction.

        On a server without advisory locks, migrations can run concurrently: all but one find the tables and fail.
        """
        timeout = max(0.001, deadline - clock.elapsed())
        connection = self._connections.connect(timeout)
        self.dialect.migrating = True
        try:
            with connection.transaction():
                connection.execute("SELECT set_config('lock_timeout', %s, true)", (str(int(1000 * timeout)),))
                with suppress(psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFunction):
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
                yield
        except Exception as error:
            raise self.failure(error) or error from error
        finally:
            self.dialect.migrating = False
            connection.close()

    def close(self) -> None:
        """Close every connection. Closing twice is allowed."""
        self._connections.close()


class _Batch:
    """The writes of one transaction, or one statement that is its own transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.begun = False
        self.single = False
        self._committing = False  # what was sent may be committed even if the answer is lost
        self._pipeline: Pipeline | None = None

    def execute(self, statement: str, bindings: Bindings = ()) -> Answer:
        """Queue a statement, the first one after a `BEGIN`. The rows are read when the caller asks for them."""
        if self.single:
            return self._execute_autocommitted(statement, bindings)
        if self._pipeline is None:
            self._pipeline = Pipeline(self.connection)
            self.begun = True
            self._pipeline.execute("BEGIN")
        return self._pipeline.execute(statement, bindings)

    def _execute_autocommitted(self, statement: str, bindings: Bindings) -> Answer:
        self._committing = True
        answer = execute_one(self.connection, statement, bindings)
        self._committing = False
        return answer

    def commit(self) -> None:
        """Send the `COMMIT` and read every answer. A later statement on this batch is its own transaction."""
        if self._pipeline is not None:
            self._committing = True
            self._pipeline.execute("COMMIT")
            pipeline, self._pipeline = self._pipeline, None
            pipeline.finish()
            self._committing = self.begun = False
        self.single = True

    def rollback(self) -> None:
        """End the transaction; close the connection if that fails."""
        self.begun = False
        pipeline, self._pipeline = self._pipeline, None
        try:
            if pipeline is not None:
                with suppress(psycopg.Error):  # the transaction is undone in any case
                    pipeline.finish()
            if self.connection.pgconn.transaction_status != TransactionStatus.IDLE:
                self.connection.execute("ROLLBACK")
        except psycopg.Error:
            self.connection.close()

    def outcome_unknown(self, error: BaseException) -> bool:
        """Whether the outcome is unknown: the connection was lost, or the server does not know it (SQLSTATE 40003)."""
        lost = self.connection.closed or getattr(error, "sqlstate", None) == "40003"
        return self._committing and lost


class _Adapter(Psycopg3Adapter):
    """peewee's adapter for psycopg. peewee was imported without its own (see `shared/__init__.py`)."""

    txn_idle = TransactionStatus.IDLE
    txn_inerror = TransactionStatus.INERROR
    txn_unknown = TransactionStatus.UNKNOWN

    def check_driver(self) -> None:
        """The driver is installed: `connections` imports it."""


class _Dialect(PostgresqlDatabase):
    """peewee's database: builds SQL, creates and checks tables, on connections outside the pool."""

    field_types = PostgresqlDatabase.field_types | {"MOMENT": "TIMESTAMPTZ", "SEQUENCE": "BIGINT"}
    psycopg2_adapter = psycopg3_adapter = _Adapter
    migrating = False
    """While migrations run, statements have no time limit; reading which tables there are has one."""

    def __init__(self, connections: Connections) -> None:
        super().__init__("postgresql://")
        self._connections = connections

    def get_primary_keys(self, table: str, schema: str | None = None) -> list[str]:
        """An empty list: the check of the tables does not need the keys, and reading them takes most of its time."""
        return []

    def _connect(self) -> psycopg.Connection:
        limit = math.inf if self.migrating else clock.elapsed() + _INSPECTION_TIMEOUT
        return self._connections.connect(_INSPECTION_TIMEOUT, limit)
