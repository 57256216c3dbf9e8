"""SQLite files: connections with their pragmas, reads side by side, one writer.

Reads take a connection from a small pool, so any number of them run beside each other and beside the writer (WAL).
The one write connection belongs to whoever called `begin` and has not yet called `release`; `begin` takes the lock
across processes first, and checkpoints and the write connection's close happen under it too.

A file that was deleted, replaced or damaged under the process is never written to and never made anew: whoever
looks first sees that the path no longer leads to the opened file, and every call raises until it does again.
"""

import errno
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw
from peewee import PeeweeException
from playhouse.apsw_ext import APSWDatabase

from shared import clock, errors
from shared.config import Settings, variable
from shared.engines import Row
from shared.engines.process_lock import ProcessLock

log = logging.getLogger(__name__)

_IDLE_READERS = 8  # connections kept for reads that run at once
_BUSY_PAUSE = 0.002  # seconds between two looks at a lock that a foreign program holds
_CHECKPOINT_PAGES = 1000  # pages in the log between two checkpoints, SQLite's own default
_CLOSE_PATIENCE = 1.0  # seconds that closing waits for the lock across processes


class SqliteEngine:
    """One SQLite file. Methods may be called by any thread; `begin` to `release` by one at a time."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is opened before the first use. Raises `ConfigurationError`."""
        self.path = _path(settings.database_url)
        self._name = str(self.path)
        self._pragmas = (
            ("journal_mode", "WAL"),
            ("synchronous", settings.synchronous),
            ("cache_size", -64000),  # in KiB: 64 MB
            ("temp_store", "MEMORY"),
            ("foreign_keys", "ON"),
            ("busy_timeout", settings.busy_timeout_ms),
        )
        self._busy_timeout_ms = settings.busy_timeout_ms
        self._file: tuple[int, int] | None = None  # device and inode of the file that the connections are on
        self._idle: list[apsw.Connection] = []
        self._lock: ProcessLock | None = None
        self._writer: apsw.Connection | None = None
        self._log_pages = 0
        self._next_checkpoint = _CHECKPOINT_PAGES
        self._closed = False
        self._process = os.getpid()
        self.dialect = _Dialect(self)

    # --- connections

    def connect(self) -> apsw.Connection:
        """A new connection with every pragma set, and with no automatic checkpoint: those are the writer's work."""
        flags = apsw.SQLITE_OPEN_READWRITE if self.exists() else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        try:
            connection = apsw.Connection(self._name, flags=flags)
            try:
                connection.set_busy_timeout(self._busy_timeout_ms)  # before the first pragma that may have to wait
                for name, value in self._pragmas:
                    connection.execute(f"PRAGMA {name} = {value}")
                connection.wal_autocheckpoint(0)
                connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)  # or a rebound statement is planned anew
            except BaseException:
                connection.close()
                raise
        except apsw.Error as error:
            raise self.failure(error) or error from error
        self._file = self._file or _identity(self.path)
        return connection

    def exists(self) -> bool:
        """Whether the database was made already; raises where it was made and is gone, or was emptied."""
        if _identity(self.path):
            return True
        if self._file or self._beside("-wal").exists() or _identity(self._beside("-lock")):
            log.error(
                "%s is missing or empty, and what is left beside it shows that it was not: restore it",
                self.path,
            )
            raise errors.DatabaseUnavailableError("database file is missing")
        return False

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)

    def _borrow(self) -> apsw.Connection:
        self._check_open()
        self._check_file()
        try:
            return self._idle.pop()
        except IndexError:
            connection = self.connect()
            connection.execute("PRAGMA query_only = ON")
            return connection

    def _give_back(self, connection: apsw.Connection) -> None:
        if self._closed or len(self._idle) >= _IDLE_READERS:
            connection.close()
        else:
            self._idle.append(connection)

    def _check_open(self) -> None:
        if self._closed or self._process != os.getpid():
            raise errors.DatabaseClosedError

    def _check_file(self) -> None:
        if self._file and _identity(self._name) != self._file:
            raise errors.DatabaseUnavailableError("database file is missing or was replaced")

    # --- reads

    def fetch(self, statement: str, bindings: Sequence[Any] = ()) -> list[Row]:
        """Every row of a read."""
        connection = self._borrow()
        try:
            rows: list[Row] = connection.execute(statement, bindings).fetchall()
        except apsw.Error as error:
            connection.close()
            raise self.failure(error) or error from error
        self._give_back(connection)
        return rows

    @contextmanager
    def walk(self, statement: str, bindings: Sequence[Any] = ()) -> Iterator[Iterator[Row]]:
        """The rows one after the other; leaving early is fine and pins no old state."""
        with self._reading() as connection:
            cursor = connection.execute(statement, bindings)
            try:
                yield cursor
            finally:
                cursor.close(True)

    @contextmanager
    def snapshot(self) -> Iterator[apsw.Connection]:
        """A connection inside a read transaction."""
        with self._reading() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        connection = self._borrow()
        try:
            yield connection
        except apsw.Error as error:
            connection.close()
            raise self.failure(error) or error from error
        except BaseException:
            self._give_back(connection)
            raise
        self._give_back(connection)

    # --- the one writer

    def begin(self, deadline: float) -> apsw.Connection:
        """Take the lock across processes, then SQLite's own, waiting for a foreign program's outside of ours."""
        while True:
            lock = self._process_lock()
            if not lock.acquire(deadline):
                raise _busy()
            try:
                self._check_file()
                connection = self._writer = self._writer or self._open_writer()
                connection.set_busy_timeout(0)
                try:
                    connection.execute("BEGIN IMMEDIATE")
                finally:
                    connection.set_busy_timeout(self._busy_timeout_ms)
                return connection
            except apsw.BusyError:
                lock.release()
                if clock.elapsed() >= deadline:
                    raise _busy() from None
                time.sleep(_BUSY_PAUSE)
            except BaseException as error:
                self._drop_writer()
                lock.release()
                raise self.failure(error) or error from error

    @contextmanager
    def exclusive(self, deadline: float) -> Iterator[None]:
        """Keep every other process's writer out, with no transaction open: for migrations."""
        lock = self._process_lock()
        if not lock.acquire(deadline):
            raise _busy()
        try:
            yield
            lock.mark()
        except (apsw.Error, PeeweeException) as error:
            raise self.failure(error) or error from error
        finally:
            lock.release()

    def commit(self) -> None:
        """Commit; raises what `failure` made of the driver's error, its outcome unknown where it is."""
        assert self._writer is not None
        try:
            self._writer.execute("COMMIT")
        except apsw.Error as error:
            failure = self.failure(error)
            if failure is not None:
                # A commit record that could not be synchronised may yet be found by a recovery.
                failure.outcome_unknown = isinstance(error, apsw.IOError)
            raise failure or error from error

    def in_transaction(self) -> bool:
        """Whether the write transaction is open."""
        return self._writer is not None and self._writer.in_transaction

    def rollback(self) -> None:
        """Undo, and leave a connection that cannot even do that."""
        try:
            if self.in_transaction():
                assert self._writer is not None
                self._writer.execute("ROLLBACK")
        except apsw.Error:
            log.exception("rollback failed: opening a new connection")
            self._drop_writer()

    def tidy(self) -> None:
        """Move the log into the database when it has grown by enough; who still reads in the log is not waited for."""
        if self._log_pages < self._next_checkpoint or self._writer is None:
            return
        try:
            pages, moved = self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._next_checkpoint = _CHECKPOINT_PAGES + (0 if moved == pages else pages)
        except apsw.Error as error:
            log.warning("checkpoint failed, the next one is tried later: %s", error)
            self._next_checkpoint = self._log_pages + _CHECKPOINT_PAGES

    def release(self) -> None:
        """Let the next process in."""
        assert self._lock is not None
        self._lock.release()

    def close(self) -> None:
        """Close what is open; the log is moved into the file by whoever closes last, when the lock is to be had."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
        if self._lock is not None and self._lock.acquire(clock.elapsed() + _CLOSE_PATIENCE):
            with suppress(apsw.Error, errors.DatabaseError):
                self._check_file()
                if self._writer is not None:
                    self._writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
            self._drop_writer()
            self._lock.release()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _process_lock(self) -> ProcessLock:
        self._check_open()
        if self._lock is None:
            try:
                self._lock = ProcessLock(self.path)
            except OSError as error:
                log.exception("the lock files beside %s cannot be opened", self.path)
                raise _from_errno(error.errno) from error
        return self._lock

    def _open_writer(self) -> apsw.Connection:
        connection = self.connect()
        connection.set_wal_hook(self._count_log_pages)
        return connection

    def _count_log_pages(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._log_pages = pages
        return 0

    def _drop_writer(self) -> None:
        if self._writer is not None:
            with suppress(apsw.Error):
                self._writer.close(True)
            self._writer = None

    # --- errors

    def failure(self, error: BaseException) -> errors.DatabaseError | None:
        """The contract's error for a driver's: by class, an I/O error by the system's error number too."""
        if isinstance(error, PeeweeException):
            error = getattr(error, "orig", error)  # the driver's own
        if isinstance(error, errors.DatabaseError):
            return error
        if isinstance(error, apsw.BusyError | apsw.LockedError | apsw.ProtocolError):
            return _busy()
        if isinstance(error, apsw.IOError | apsw.CantOpenError):
            return _from_errno(self._writer.system_errno if self.in_transaction() and self._writer else None)
        if isinstance(error, apsw.SQLError):
            missing = str(error).startswith(("no such", "table ")) or "has no column" in str(error)
            return errors.DatabaseSchemaError() if missing else None
        for kind, failure in _FAILURES:
            if isinstance(error, kind):
                return failure()
        return None


_FAILURES: tuple[tuple[type[apsw.Error], type[errors.DatabaseError]], ...] = (
    (apsw.FullError, errors.DatabaseFullError),
    (apsw.ReadOnlyError, errors.DatabaseReadOnlyError),
    (apsw.CorruptError, errors.DatabaseCorruptError),
    (apsw.NotADBError, errors.DatabaseCorruptError),
    (apsw.ConnectionClosedError, errors.DatabaseClosedError),
    (apsw.CursorClosedError, errors.DatabaseClosedError),
)


class _Dialect(APSWDatabase):  # type: ignore[misc]
    """peewee's view of the engine's file: the same connections, with the same pragmas."""

    def __init__(self, engine: SqliteEngine) -> None:
        super().__init__(str(engine.path), lock_type="IMMEDIATE")
        self._engine = engine

    def _connect(self) -> apsw.Connection:
        connection = self._engine.connect()
        connection.convert_binding = lambda _cursor, _number, value: str(value)  # the migrations' own datetimes
        return connection


def _path(url: str) -> Path:
    path = url.removeprefix("sqlite:///")
    if path == url or not path or path.startswith(":memory:") or "?" in path:
        raise errors.ConfigurationError(
            f"{variable('database_url')} must name a file: sqlite:///relative.db or sqlite:////absolute.db"
        )
    return Path(path).absolute()


def _identity(path: Path | str) -> tuple[int, int] | None:
    """Device and inode of a file; None for one that is missing or empty."""
    try:
        status = os.stat(path)  # noqa: PTH116 (half of Path.stat's time, and on every call's way)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status.st_size else None


def _busy() -> errors.DatabaseBusyError:
    failure = errors.DatabaseBusyError()
    failure.can_pass = True
    return failure


def _from_errno(number: int | None) -> errors.DatabaseError:
    if number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return errors.DatabaseFullError()
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return errors.DatabaseReadOnlyError()
    failure = errors.DatabaseUnavailableError()
    failure.can_pass = True
    return failure
