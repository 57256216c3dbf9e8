"""PostgreSQL and what speaks its protocol: a server between the containers, which keeps them apart itself.

There is no lock across processes here: transactions of different containers run side by side. What a batch sends is
pipelined: statements go out together and their answers come back together, so that a batch costs the network what
one write costs it.
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
from shared.engines.postgresql.pipeline import Answer, Connection, Pipeline, alone, stream
from shared.models import POSTGRESQL_MODELS
from shared.retries import persist

T = TypeVar("T")

_MIGRATIONS = 0x73776974  # the advisory lock's name: any number that other programs do not use
_GRACE = 1.0  # seconds behind a deadline, for the server's own time limits to be told
_LOOK = 5.0  # seconds to look at the tables


class PostgresqlEngine:
    """One database on a server. Methods may be called by any thread; `begin` to `release` by one at a time."""

    kind = "postgresql"
    models = POSTGRESQL_MODELS
    savepoints = False
    waits_for_batch = True

    def __init__(self, settings: Settings) -> None:
        """Nothing is opened before the first use. Raises `ConfigurationError`."""
        self._connections = Connections(settings)
        self._patience = settings.busy_timeout_ms / 1000
        self._batch: _Batch | None = None
        self.dialect = _Dialect(self._connections)

    def exists(self) -> bool:
        """Whether the database was made already: the server's owner makes it."""
        return True

    # --- reads

    def fetch(self, statement: str, bindings: Bindings = ()) -> list[Row]:
        """Every row of a read."""
        return self._read(lambda connection: alone(connection, statement, bindings).rows)

    def walk(self, statement: str, bindings: Bindings, read: Callable[[Iterator[Row]], T]) -> T:
        """What `read` makes of the rows, some of which are fetched at a time; leaving early is fine."""

        def streamed(connection: Connection) -> T:
            with closing(stream(connection, statement, bindings)) as rows:
                return read(rows)

        return self._read(streamed)

    def snapshot(self, read: Callable[[engines.Connection], T]) -> T:
        """What `read` makes of a connection whose reads all see the same state."""

        def in_transaction(connection: Connection) -> T:
            pipeline = Pipeline(connection)
            pipeline.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            found = read(pipeline)
            pipeline.execute("COMMIT")
            pipeline.finish()
            return found

        return self._read(in_transaction)

    def _read(self, read: Callable[[Connection], T]) -> T:
        """A read, again when it lost its connection or a race, until the patience of `SWITCHBOARD_BUSY_TIMEOUT_MS`."""
        deadline = clock.elapsed() + self._patience

        def attempt() -> T:
            connection = self._connections.take(deadline, deadline)
            try:
                return read(connection)
            except psycopg.Error as error:
                raise self._told(error, connection) or error from error
            finally:
                self._connections.give_back(connection)

        return persist(attempt, deadline)

    # --- writes

    def begin(self, deadline: float) -> engines.Connection:
        """A connection for a batch; its transaction begins with its first statement.

        It has until the deadline to be answered, and at least as long as the server may make it wait for a lock.
        """
        limit = max(deadline, clock.elapsed() + self._connections.lock_patience) + _GRACE
        self._batch = _Batch(self._connections.take(deadline, limit))
        return self._batch

    def allow_autocommit(self) -> None:
        """The batch is one statement: it is its own transaction, and no lock outlives it."""
        self._writing().single = True

    def commit(self) -> None:
        """Make the batch's writes stand; raises the `DatabaseError` family."""
        try:
            self._writing().commit()
        except psycopg.Error as error:
            raise self.failure(error) or error from error

    def in_transaction(self) -> bool:
        """Whether a transaction was begun and nothing in it has failed."""
        return self._writing().begun

    def rollback(self) -> None:
        """Undo; never raises."""
        if self._batch is not None:
            self._batch.rollback()

    def maintain(self) -> None:
        """Nothing: the server keeps house."""

    def release(self) -> None:
        """Give the connection back."""
        batch, self._batch = self._writing(), None
        self._connections.give_back(batch.connection)

    def _writing(self) -> "_Batch":
        assert self._batch is not None
        return self._batch

    def failure(self, error: BaseException) -> errors.DatabaseError | None:
        """The contract's error for an exception of the batch's or of peewee's."""
        if self._batch is None:
            return translate(error)
        unknown = self._batch.outcome_unknown(error)
        failure = self._told(error, self._batch.connection)
        if failure is not None and unknown:
            failure.outcome_unknown = True
        return failure

    def _told(self, error: BaseException, connection: Connection) -> errors.DatabaseError | None:
        failure = translate(error)
        if isinstance(failure, errors.DatabaseReadOnlyError) and failure.transient:
            connection.close()  # no primary any more: the next connection looks for the one that is
        return failure

    # --- migrations

    @contextmanager
    def exclusive(self, deadline: float) -> Iterator[None]:
        """Keep every other container's migrations out, by an advisory lock that ends with its transaction.

        An engine without advisory locks runs migrations side by side; the loser finds the tables there and fails.
        """
        patience = max(0.001, deadline - clock.elapsed())
        connection = self._connections.connect(patience)
        self.dialect.unhurried = True
        try:
            with connection.transaction():
                connection.execute("SELECT set_config('lock_timeout', %s, true)", (str(int(1000 * patience)),))
                with suppress(psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFunction):
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATIONS,))
                yield
        except Exception as error:
            raise self.failure(error) or error from error
        finally:
            self.dialect.unhurried = False
            connection.close()

    def close(self) -> None:
        """Close every connection; closing twice is fine."""
        self._connections.close()


class _Batch:
    """The writes of one transaction, or one statement that commits by itself."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.begun = False
        self.single = False
        self._committing = False  # what is under way may stand, even if its answer is lost
        self._pipeline: Pipeline | None = None

    def execute(self, statement: str, bindings: Bindings = ()) -> Answer:
        """Send a statement, the first one behind a `BEGIN`; its rows come when they are asked for."""
        if self.single:
            return self._alone(statement, bindings)
        if self._pipeline is None:
            self._pipeline = Pipeline(self.connection)
            self.begun = True
            self._pipeline.execute("BEGIN")
        return self._pipeline.execute(statement, bindings)

    def _alone(self, statement: str, bindings: Bindings) -> Answer:
        self._committing = True
        answer = alone(self.connection, statement, bindings)
        self._committing = False
        return answer

    def commit(self) -> None:
        """Send the `COMMIT`, and read every answer. What is executed after it stands for itself."""
        if self._pipeline is not None:
            self._committing = True
            self._pipeline.execute("COMMIT")
            pipeline, self._pipeline = self._pipeline, None
            pipeline.finish()
            self._committing = self.begun = False
        self.single = True

    def rollback(self) -> None:
        """Leave the transaction, or a connection that cannot."""
        self.begun = False
        pipeline, self._pipeline = self._pipeline, None
        try:
            if pipeline is not None:
                with suppress(psycopg.Error):  # of a statement that is undone: its writer was told, or is to be
                    pipeline.finish()
            if self.connection.pgconn.transaction_status != TransactionStatus.IDLE:
                self.connection.execute("ROLLBACK")
        except psycopg.Error:
            self.connection.close()

    def outcome_unknown(self, error: BaseException) -> bool:
        """Whether it may stand: the connection was lost, or the engine itself does not know (CockroachDB's 40003)."""
        lost = self.connection.closed or getattr(error, "sqlstate", None) == "40003"
        return self._committing and lost


class _Adapter(Psycopg3Adapter):
    """peewee's view of psycopg: it was imported without (see `shared/__init__.py`)."""

    txn_idle = TransactionStatus.IDLE
    txn_inerror = TransactionStatus.INERROR
    txn_unknown = TransactionStatus.UNKNOWN

    def check_driver(self) -> None:
        """It is there."""


class _Dialect(PostgresqlDatabase):
    """peewee's view of the engine: builds SQL, makes and checks tables, on connections beside the pool."""

    field_types = PostgresqlDatabase.field_types | {"MOMENT": "TIMESTAMPTZ", "SEQUENCE": "BIGINT"}
    psycopg2_adapter = psycopg3_adapter = _Adapter
    unhurried = False
    """While migrations run; who only looks is answered in time or not at all."""

    def __init__(self, connections: Connections) -> None:
        super().__init__("postgresql://")
        self._connections = connections

    def get_primary_keys(self, table: str, schema: str | None = None) -> list[str]:
        """None: the check of the tables does not ask for them, and the server's answer would take most of its time."""
        return []

    def _connect(self) -> psycopg.Connection:
        limit = math.inf if self.unhurried else clock.elapsed() + _LOOK
        return self._connections.connect(_LOOK, limit)
