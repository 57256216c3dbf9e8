"""The files of a SQLite database: the database itself, the log (`-wal`) and the log's index (`-shm`) beside it.

They belong together, but SQLite finds them by name: it would apply a log that was left beside another database file to
that file. So the engine remembers which files its connections have open, and compares.
"""

import errno
import fcntl
import os
from typing import NamedTuple

from shared import errors
from shared.config import variable

_EFFECTIVE = os.access in os.supports_effective_ids
_SHARED_LOCK = (510, 0x40000002)  # the bytes that every connection keeps locked: length and start


class Identity(NamedTuple):
    """Which file a path leads to."""

    device: int
    inode: int


NONE = Identity(0, 0)
"""The identity of a path that leads to no file."""


class Files(NamedTuple):
    """The files at a database's path."""

    database: Identity
    log: Identity
    log_index: Identity

    @classmethod
    def at(cls, path: str) -> "Files":
        """The files at this moment."""
        return cls(identity(path), identity(path + "-wal"), identity(path + "-shm"))


def path_in(url: str) -> str:
    """The file that a URL names, links followed: its lock has one name then. Raises `ConfigurationError`."""
    path = url.removeprefix("sqlite:///")
    if path == url or not path or path.startswith(":memory:") or "?" in path:
        raise errors.ConfigurationError(
            f"{variable('database_url')} must name a file: sqlite:///relative.db or sqlite:////absolute.db"
        )
    return os.path.realpath(path)


def identity(path: str) -> Identity:
    """Which file the path leads to; `NONE` when it leads to no file."""
    try:
        status = os.stat(path)
    except OSError:
        return NONE
    return Identity(status.st_dev, status.st_ino)


def size(path: str) -> int:
    """A file's size in bytes; 0 for a file that is missing."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def why_not_writable(path: str) -> int:
    """The error number with which the system refuses new files beside this one; 0 where it does not, or for others."""
    folder = os.path.dirname(path)
    try:
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return errno.EROFS
    except OSError:
        return 0
    return 0 if os.access(folder, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE) else errno.EACCES


def in_use(path: str) -> bool:
    """Whether another process has a connection to this database.

    Only for a file to which this process has no connection: closing any descriptor of a file releases the process's
    locks on it.
    """
    with open(path, "rb+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, *_SHARED_LOCK)
        except OSError:
            return True
    return False
