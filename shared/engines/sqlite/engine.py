"""SQLite files: concurrent reads, one writer.

Reads take a connection from a small pool. Any number of reads run at the same time, also during a write (WAL mode).
The one write connection belongs to whoever called `begin` and has not yet called `release`; `begin` takes the lock
across processes first, and checkpoints and the write connection's close happen under it too.

`connections` describes what happens when files are deleted, replaced or damaged while the process uses them.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import apsw
from peewee import PeeweeException
from playhouse.apsw_ext import APSWDatabase

from shared import clock, errors
from shared.config import Settings
from shared.engines import Bindings, Row
from shared.engines.sqlite.connections import Connections, open_lock
from shared.engines.sqlite.errors import busy, outcome_unknown
from shared.engines.sqlite.files import path_in, size
from shared.engines.sqlite.process_lock import ProcessLock
from shared.engines.sqlite.readers import Readers
from shared.models import SQLITE_MODELS

log = logging.getLogger(__name__)

T = TypeVar("T")

_BUSY_PAUSE = 0.002  # seconds between two attempts to get a lock that another program holds
_CHECKPOINT_PAGES = 1000  # pages in the log between two checkpoints, SQLite's own default
_LOG_LIMIT = 8 * 1024 * 1024  # bytes of the log file; what a long read made it grow beyond is cut off again
_CLOSE_PATIENCE = 1.0  # seconds that closing waits for the lock across processes


class SqliteEngine:
    """One SQLite file. Methods may be called by any thread; `begin` to `release` by one at a time."""

    kind = "sqlite"
    models = SQLITE_MODELS
    savepoints = True
    waits_for_batch = False

    def __init__(self, settings: Settings) -> None:
        """Nothing is opened before the first use. Raises `ConfigurationError`."""
        self.path = path_in(settings.database_url)
        pragmas: tuple[tuple[str, str | int], ...] = (
            ("journal_mode", "WAL"),
            ("synchronous", settings.synchronous),
            ("cache_size", -64000),  # in KiB: 64 MB
            ("temp_store", "MEMORY"),
            ("foreign_keys", "ON"),
            ("journal_size_limit", _LOG_LIMIT),
            ("fullfsync", settings.synchronous == "FULL"),  # macOS: its `fsync` leaves data in the disk's cache
            ("checkpoint_fullfsync", True),
        )
        self._busy_timeout_ms = settings.busy_timeout_ms
        self._connections = Connections(self.path, pragmas, settings.busy_timeout_ms)
        self._lock: ProcessLock | None = None
        self._was_read_only = False  # when the lock was last opened
        self._log_pages = 0
        self._checkpoint_pages = _CHECKPOINT_PAGES
        self._next_checkpoint = _CHECKPOINT_PAGES
        self._closing = threading.Lock()
        self._closed = False
        self._process = os.getpid()
        self.dialect = _Dialect(self)

    def connect(self) -> apsw.Connection:
        """A new connection with every pragma set; raises `DatabaseCorruptError` for a damaged file."""
        connections = self._connections
        if not connections.files_in_place():
            connections.renew()
        connection = connections.connect()
        try:
            connections.check(connection)
        except BaseException as error:
            connection.close(True)
            raise self.failure(error) or error from error
        return connection

    def exists(self) -> bool:
        """Whether the database was created already; raises when it was created and is missing or empty now."""
        return self._connections.exists()

    def schema_version(self) -> str | None:
        """None: the tables are compared without a round trip."""
        return None

    def _check_open(self) -> None:
        if self._closed or self._process != os.getpid():
            raise errors.DatabaseClosedError

    # --- reads

    def _readers(self) -> Readers:
        self._check_open()
        connections = self._connections
        if not connections.in_place():
            connections.renew()
        return connections.readers

    def fetch(self, statement: str, bindings: Bindings = ()) -> list[Row]:
        """Every row of a read."""
        readers = self._readers()
        connection = readers.take()
        try:
            rows: list[Row] = connection.execute(statement, bindings).fetchall()
        except apsw.Error as error:
            raise self._read_failure(error, readers, connection) from error
        readers.give_back(connection)
        return rows

    def walk(self, statement: str, bindings: Bindings, read: Callable[[Iterator[Row]], T]) -> T:
        """The result of `read(rows)`, which may stop early: the read transaction ends with it."""
        with self._reading() as connection:
            cursor = connection.execute(statement, bindings)
            try:
                return read(cursor)
            finally:
                cursor.close(True)

    def snapshot(self, read: Callable[[apsw.Connection], T]) -> T:
        """The result of `read(connection)`, inside one read transaction."""
        with self._reading() as connection:
            connection.execute("BEGIN")
            try:
                return read(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        readers = self._readers()
        connection = readers.take()
        try:
            yield connection
        except apsw.Error as error:
            raise self._read_failure(error, readers, connection) from error
        except BaseException:
            readers.give_back(connection)
            raise
        readers.give_back(connection)

    def _read_failure(self, error: apsw.Error, readers: Readers, connection: apsw.Connection) -> Exception:
        failure = self._connections.failure(error, connection.system_errno)
        readers.discard(connection)
        return failure or error

    # --- the one writer

    def begin(self, deadline: float) -> apsw.Connection:
        """Take the lock across processes, then SQLite's own; wait for another program's without holding the first."""
        while True:
            lock = self._process_lock()
            if not lock.acquire(deadline):
                raise busy()
            connections = self._connections
            try:
                if not connections.files_in_place():
                    connections.follow()
                connection = connections.open_writer(self._log_grew)
                connection.set_busy_timeout(0)
                try:
                    connection.execute("BEGIN IMMEDIATE")
                finally:
                    connection.set_busy_timeout(self._busy_timeout_ms)
                return connection
            except (apsw.BusyError, errors.DatabaseBusyError):
                lock.release()
                if clock.elapsed() >= deadline:
                    raise busy() from None
                time.sleep(_BUSY_PAUSE)
            except BaseException as error:
                failure = self.failure(error)
                lock.release()
                raise failure or error from error

    @contextmanager
    def exclusive(self, deadline: float) -> Iterator[None]:
        """Hold the lock across processes without a transaction, for migrations."""
        lock = self._process_lock()
        if not lock.acquire(deadline):
            raise busy()
        connections = self._connections
        try:
            if not connections.files_in_place():
                connections.follow()
            yield
            lock.mark()
        except (apsw.Error, PeeweeException, OSError) as error:
            raise self.failure(error) or error from error
        finally:
            lock.release()

    def allow_autocommit(self) -> None:
        """Nothing to do: the transaction is already open and costs no round trip."""

    def commit(self) -> None:
        """Commit. An error's `outcome_unknown` says whether the write may have been committed."""
        writer = self._connections.writer
        assert writer is not None
        try:
            writer.execute("COMMIT")
        except apsw.Error as error:
            failure = self.failure(error)
            if failure is not None:
                failure.outcome_unknown = outcome_unknown(error)
            raise failure or error from error

    def in_transaction(self) -> bool:
        """Whether the write transaction is open."""
        writer = self._connections.writer
        return writer is not None and writer.in_transaction

    def rollback(self) -> None:
        """Undo the transaction; a connection that cannot do that is closed."""
        try:
            writer = self._connections.writer
            if writer is not None and writer.in_transaction:
                writer.execute("ROLLBACK")
        except apsw.Error:
            log.exception("rollback failed: opening a new connection")
            self._connections.drop_writer()

    def checkpoint_every(self, pages: int) -> None:
        """Make a checkpoint when the log has so many pages: with fewer, each one is shorter, and there are more."""
        self._checkpoint_pages = self._next_checkpoint = pages

    def maintain(self) -> None:
        """Move the log into the database when it has grown by enough; reads that still need the log are not waited for.

        While a long read keeps the log from being reused, the log file grows. It is cut off when its content has
        been moved: here, or by `journal_size_limit` at a later commit where a read is in the way just now.
        """
        writer = self._connections.writer
        if self._log_pages < self._next_checkpoint or writer is None:
            return
        try:
            pages, moved = writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._next_checkpoint = self._checkpoint_pages + (0 if moved == pages else pages)
            if moved == pages and size(self.path + "-wal") > _LOG_LIMIT:
                self._cut_off_log(writer)
        except apsw.Error as error:
            log.warning("checkpoint failed, the next one is tried later: %s", error)
            self._next_checkpoint = self._log_pages + self._checkpoint_pages

    def _cut_off_log(self, writer: apsw.Connection) -> None:
        writer.set_busy_timeout(0)
        try:
            with suppress(apsw.BusyError):
                writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            writer.set_busy_timeout(self._busy_timeout_ms)

    def release(self) -> None:
        """Release the lock across processes."""
        assert self._lock is not None
        self._lock.release()

    def close(self) -> None:
        """Close every connection. The last process moves the log into the file, if it gets the lock in time."""
        self._closed = True
        self._connections.readers.close()
        with self._closing:
            if self._lock is not None:
                if self._lock.acquire(clock.elapsed() + _CLOSE_PATIENCE):
                    self._close_writer()
                self._lock.close()
                self._lock = None

    def _close_writer(self) -> None:
        connections = self._connections
        if connections.writer is not None and connections.files_in_place():
            with suppress(apsw.Error):
                connections.writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        connections.drop_writer()

    def _process_lock(self) -> ProcessLock:
        self._check_open()
        if self._lock is None:
            self._lock = self._open_lock()
        return self._lock

    def _open_lock(self) -> ProcessLock:
        """Open the lock, and close the readers that were opened while the disk was read-only.

        SQLite shares one view of the log among a process's connections: with theirs, a writer could not write.
        """
        try:
            lock = open_lock(self.path)
        except errors.DatabaseReadOnlyError:
            self._was_read_only = True
            raise
        if self._was_read_only:
            self._was_read_only = False
            self._connections.close_readers()
        return lock

    def _log_grew(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._log_pages = pages
        return 0

    # --- errors

    def failure(self, error: BaseException) -> errors.DatabaseError | None:
        """The contract's error for an exception of the writer's or of peewee's."""
        writer = self._connections.writer
        by_writer = isinstance(error, apsw.Error) and writer is not None
        return self._connections.failure(error, writer.system_errno if by_writer and writer else self.dialect.errno)


class _Dialect(APSWDatabase):  # type: ignore[misc]
    """peewee's view of the engine's file: the same connections, with the same pragmas."""

    field_types = APSWDatabase.field_types | {"MOMENT": "TEXT", "SEQUENCE": "INTEGER"}

    def __init__(self, engine: SqliteEngine) -> None:
        super().__init__(engine.path, lock_type="IMMEDIATE")
        self._engine = engine
        self.errno = 0  # the system's error number of the connection that was closed last

    def _connect(self) -> apsw.Connection:
        connection = self._engine.connect()
        connection.convert_binding = lambda _cursor, _number, value: str(value)  # the migrations' own datetimes
        return connection

    def _close(self, conn: apsw.Connection) -> None:
        self.errno = conn.system_errno
        super()._close(conn)
