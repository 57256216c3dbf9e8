"""What SQLite's and peewee's exceptions mean to a caller: by class, an I/O error by the system's error number too."""

import errno

import apsw
from peewee import PeeweeException

from shared import errors

DAMAGE = (apsw.CorruptError, apsw.NotADBError)
"""The file is damaged."""

SUSPICIOUS = (*DAMAGE, apsw.IOError, apsw.ReadOnlyError)
"""After these a connection may have wrong or old pages in its cache, or may be read-only: it is opened again."""

_FAILURES: tuple[tuple[type[apsw.Error], type[errors.DatabaseError]], ...] = (
    (apsw.FullError, errors.DatabaseFullError),
    (apsw.ReadOnlyError, errors.DatabaseReadOnlyError),
    (apsw.CorruptError, errors.DatabaseCorruptError),
    (apsw.NotADBError, errors.DatabaseCorruptError),
    (apsw.ConnectionClosedError, errors.DatabaseClosedError),
    (apsw.CursorClosedError, errors.DatabaseClosedError),
)


def cause(error: BaseException) -> BaseException:
    """The driver's own exception, where peewee wrapped it."""
    return getattr(error, "orig", error) if isinstance(error, PeeweeException) else error


def translate(error: BaseException, number: int) -> errors.DatabaseError | None:
    """The contract's error for a driver's; `number` is the system's of the connection that raised it, or 0."""
    if isinstance(error, errors.DatabaseError):
        return error
    if isinstance(error, apsw.BusyError | apsw.LockedError | apsw.ProtocolError):
        return busy()
    if isinstance(error, apsw.IOError | apsw.CantOpenError):
        return from_errno(number)
    if isinstance(error, apsw.SQLError):
        missing = str(error).startswith(("no such", "table ")) or "has no column" in str(error)
        return errors.DatabaseSchemaError() if missing else None
    if isinstance(error, OSError):
        return from_errno(error.errno or 0)
    for kind, failure in _FAILURES:
        if isinstance(error, kind):
            return failure()
    return None


def outcome_unknown(error: apsw.Error) -> bool:
    """Whether a later recovery of the log may find that this failed commit was made.

    A commit record that could not be written is not in the log. One that could not be synchronised or indexed may be.
    """
    return isinstance(error, apsw.IOError) and getattr(error, "extendedresult", None) != apsw.SQLITE_IOERR_WRITE


def from_errno(number: int) -> errors.DatabaseError:
    """What the system's error number means."""
    if number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return errors.DatabaseFullError()
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return errors.DatabaseReadOnlyError()
    return unavailable()


def busy() -> errors.DatabaseBusyError:
    """Another process or program holds a lock: worth a retry."""
    failure = errors.DatabaseBusyError()
    failure.can_pass = True
    return failure


def unavailable(reason: str | None = None) -> errors.DatabaseUnavailableError:
    """The database cannot be used at the moment: worth a retry."""
    failure = errors.DatabaseUnavailableError(reason)
    failure.can_pass = True
    return failure
