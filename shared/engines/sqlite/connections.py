"""The connections to one SQLite file, all on the same files and with the same pragmas.

When the files change under the process
- Every read and every write first checks that the path still leads to the opened file. Every write also checks that
  the log is still there. A file that is missing or was emptied is never created again: calls raise until it is back.
- When the file was replaced, the new file is used after the old log was moved into the file that it belongs to. SQLite
  would apply a log that stays beside another file to that file. A log that was removed is saved in the same way, before
  anything is written, if a connection of this process still has it open: no acknowledged write is lost.
- A file that became shorter is read through before it is used again.
- After damage or an I/O error every connection is opened again, so that a repair is noticed. After damage, health
  checks read the whole file until no damage is found; other calls fail only where they meet it.

Not seen from here: a file that was overwritten in place; a log that was removed, or left beside another file, while no
process of the service had it open; what other programs write while the files are being moved.
"""

import logging
import os
from collections.abc import Callable
from contextlib import suppress

import apsw

from shared import clock, errors
from shared.engines.sqlite.errors import DAMAGE, SUSPICIOUS, busy, cause, from_errno, translate, unavailable
from shared.engines.sqlite.files import NONE, Files, identity, in_use, size, why_not_writable
from shared.engines.sqlite.forks import Openings
from shared.engines.sqlite.process_lock import ProcessLock
from shared.engines.sqlite.readers import Readers

log = logging.getLogger(__name__)

_PATIENCE = 1.0  # seconds to wait, before old files are left, for the lock across processes and for running reads
_CHECK_PATIENCE = 3.0  # seconds that reading a whole file may take


class Connections:
    """The pool of readers and the one writer. `follow` and the writer need the lock across processes."""

    def __init__(self, path: str, pragmas: tuple[tuple[str, str | int], ...], busy_timeout_ms: int) -> None:
        """Nothing is opened before the first use; pragmas are set in their order."""
        self.path = path
        self.readers = Readers(self._open_reader)
        self.writer: apsw.Connection | None = None
        self._pragmas = (*pragmas, ("busy_timeout", busy_timeout_ms))
        self._busy_timeout_ms = busy_timeout_ms
        self._openings = Openings(self.path, self._close_idle)
        self._log_name = self.path + "-wal"
        self._files: Files | None = None  # the files that the connections have open, or had open last
        self._size = 0  # of the database file, when it was looked at last
        self._suspect = False  # the writer must be opened again
        self._damaged = False  # damage was seen, and the file was not found undamaged since

    # --- opening

    def connect(self, busy_timeout_ms: int | None = None) -> apsw.Connection:
        """A new connection without automatic checkpoints: the engine makes them, see `SqliteEngine.maintain`."""
        flags = apsw.SQLITE_OPEN_READWRITE if self.exists() else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        connection: apsw.Connection | None = None
        try:
            with self._openings.one() as opened:
                connection = apsw.Connection(self.path, flags=flags)
                opened(connection)
            # First of all: closing a connection that fails below must not move the log into a damaged file.
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            connection.set_busy_timeout(self._busy_timeout_ms if busy_timeout_ms is None else busy_timeout_ms)
            for name, value in self._pragmas:
                connection.execute(f"PRAGMA {name} = {value}")
            connection.wal_autocheckpoint(0)
            connection.config(
                apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1
            )  # otherwise a statement with new bindings is planned again
            self._check_log(connection)
        except BaseException as error:
            number = connection.system_errno if connection else 0
            if isinstance(error, apsw.CantOpenError):  # its number is that of the last attempt, to open without writing
                number = why_not_writable(self.path) or number
            failure = self.failure(error, number)
            if connection is not None:
                connection.close(True)
            raise failure or error from error
        return connection

    def exists(self) -> bool:
        """Whether the database was created already; raises when it was and is missing now, and when its folder is."""
        if size(self.path):
            return True
        if self._files or identity(self._log_name) != NONE or size(self.path + "-lock"):
            log.error("%s is missing or empty, and what is left shows that it was not: restore it", self.path)
            raise errors.DatabaseUnavailableError("database file is missing")
        if not os.path.isdir(os.path.dirname(self.path) or "."):
            log.error("%s: its folder does not exist", self.path)
            raise errors.DatabaseUnavailableError("database folder is missing")
        return False

    def check(self, connection: apsw.Connection) -> None:
        """Check the file again if damage was seen before; raise `DatabaseCorruptError` if there still is some."""
        if self._damaged:
            _check_whole(connection)
            self._damaged = False

    def open_writer(self, log_grew: Callable[[apsw.Connection, str, int], int]) -> apsw.Connection:
        """The write connection, opened if it is closed or suspect. It does not wait for another program's lock."""
        if self._suspect:
            self.drop_writer()
        if self.writer is None:
            self.writer = self._join(self.connect(busy_timeout_ms=0))
            self.writer.set_wal_hook(log_grew)
        return self.writer

    def drop_writer(self) -> None:
        """Close the write connection, without a checkpoint."""
        self._suspect = False
        if self.writer is not None:
            self.writer.close(True)
            self.writer = None

    def close_readers(self) -> None:
        """Let every reader be opened again before its next use."""
        readers, self.readers = self.readers, Readers(self._open_reader)
        readers.close()

    def _close_idle(self, shut: Callable[[], object], deadline: float) -> None:
        # The lock comes first: its holder may be about to open the writer, and would wait for what `shut` blocks.
        lock = None
        with suppress(errors.DatabaseError):
            lock = open_lock(self.path)
        locked = lock is not None and lock.acquire(deadline)
        if locked and not self.files_in_place():
            with suppress(errors.DatabaseError):
                self.follow()
        shut()
        if self.files_in_place():  # otherwise a log that must still be saved would be lost
            self.close_readers()
            if locked:
                self.drop_writer()
        if lock is not None:
            lock.close()

    def _open_reader(self) -> apsw.Connection:
        try:
            connection = self._join(self.connect())
        except errors.DatabaseUnavailableError:
            if self.log_in_place():
                raise
            self.renew()
            connection = self._join(self.connect())
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _check_log(self, connection: apsw.Connection) -> None:
        """Raise when the log is shorter than its index says: the log that other connections wrote was removed."""
        with suppress(apsw.ReadOnlyError):
            pages = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0]
            if size(self._log_name) < pages * connection.pragma("page_size"):
                log.error("the log of %s was removed while another process had it open", self.path)
                raise unavailable("database log is missing")

    def _join(self, connection: apsw.Connection) -> apsw.Connection:
        """Accept the connection if it has the same files open as the others; the first one decides which files."""
        try:
            self._compare(connection)
        except BaseException as error:
            connection.close(True)
            raise self.failure(error) or error from error
        return connection

    def _compare(self, connection: apsw.Connection) -> None:
        old, new, length = self._files, Files.at(self.path), size(self.path)
        if old is None or not (self.writer or self.readers.any_open()):
            same = old is not None and new.database == old.database
            if same and length < self._size:
                _check_whole(connection)
            self._files, self._size = new, length
        elif new[:2] != old[:2]:
            raise unavailable("database files were moved")

    # --- files that change

    def files_in_place(self) -> bool:
        """Whether the database's name and the log's both lead to the opened files."""
        return self.in_place() and self.log_in_place()

    def in_place(self) -> bool:
        """Whether the path leads to the opened file, no shorter than it was."""
        files = self._files
        if files is None:
            return True
        try:
            status = os.stat(self.path)
        except OSError:
            return False
        length = status.st_size
        if length < self._size or status.st_ino != files.database.inode or status.st_dev != files.database.device:
            return False
        self._size = length
        return True

    def log_in_place(self) -> bool:
        """Whether the log's name leads to the opened log."""
        files = self._files
        if files is None:
            return True
        try:
            return os.stat(self._log_name).st_ino == files.log.inode
        except OSError:
            return False

    def renew(self) -> None:
        """Take the lock across processes and `follow`. Raises the `DatabaseError` family."""
        self.exists()
        lock = open_lock(self.path)
        try:
            if not lock.acquire(clock.elapsed() + _PATIENCE):
                raise busy()
            self.follow()
        finally:
            lock.close()

    def follow(self) -> None:
        """Use the files that are there now; raise when that is not possible, or not yet."""
        old, new = self._files, Files.at(self.path)
        if old is None or self.files_in_place():
            return  # another thread or process did it
        self.exists()
        log.warning("%s or its log was removed, replaced or cut off: opening what is there", self.path)
        try:
            if new.database != old.database:
                self._leave(old, new)
            elif new.log != old.log and not size(self._log_name):
                self._save_log()
        except (apsw.Error, OSError) as error:
            raise self.failure(error) or unavailable("database files were moved") from error
        self.drop_writer()
        self.close_readers()

    def _leave(self, old: Files, new: Files) -> None:
        """Remove the old database's log and index, after their content was saved, from beside the new file."""
        if in_use(self.path):
            if new.log == old.log != NONE:
                log.error("another process opened %s with the log of the file before it: restore it again", self.path)
                raise unavailable("database file was replaced")
        else:
            if new.log == old.log != NONE:
                self._save_log()
                os.unlink(self._log_name)
            if new.log_index == old.log_index != NONE:
                os.unlink(self.path + "-shm")

    def _save_log(self) -> None:
        """Move the log into the database file that it belongs to, whatever their names are now, and empty it."""
        reader = None if self.writer else self.readers.spare()
        connection = self.writer or reader
        if connection is None:
            if self.readers.in_hand() or size(self._log_name):
                raise unavailable("database files were moved")
            return
        connection.set_busy_timeout(int(_PATIENCE * 1000))
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            connection.set_busy_timeout(self._busy_timeout_ms)
            if reader is not None:
                self.readers.give_back(reader)

    # --- errors

    def failure(self, error: BaseException, number: int = 0) -> errors.DatabaseError | None:
        """What an exception means, see `translate`. Connections that may be wrong after it are opened again."""
        error = cause(error)
        failure = translate(error, number)
        self._damaged = self._damaged or isinstance(error, DAMAGE)
        if isinstance(error, SUSPICIOUS) and self.log_in_place():
            self._suspect = True
            self.close_readers()
        return failure


def _check_whole(connection: apsw.Connection) -> None:
    """Raise `DatabaseCorruptError` unless SQLite's quick check finds the file undamaged within its time."""
    give_up = clock.elapsed() + _CHECK_PATIENCE
    connection.set_progress_handler(lambda: clock.elapsed() > give_up, 100_000)
    try:
        whole = connection.pragma("quick_check", 1) == "ok"
    except apsw.InterruptError:
        whole = False
    finally:
        connection.set_progress_handler(None)
    if not whole:
        raise errors.DatabaseCorruptError


def open_lock(database: str) -> ProcessLock:
    """The lock across processes. Raises the `DatabaseError` family."""
    try:
        return ProcessLock(database)
    except OSError as error:
        log.error("the lock files beside %s cannot be opened: %s", database, error.strerror)  # noqa: TRY400 - its caller logs the traceback
        raise from_errno(error.errno or 0) from error
