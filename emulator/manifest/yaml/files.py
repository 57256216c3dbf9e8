"""Reads the files of a manifest: regular files only, and up to a size. Stamps show later whether a file has changed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from emulator.manifest.yaml.limits import MAX_BYTES

Stamp = tuple[int, int]
"""The time of a file's last change in nanoseconds, and its size."""
ABSENT: Stamp = (0, 0)
"""The stamp of a file that is not there."""


class FileError(Exception):
    """Why a file cannot be read."""


def text(path: Path) -> str:
    """The text of a regular file of at most MAX_BYTES; a FileError says why there is none."""
    try:
        return _bytes(path).decode("utf-8")
    except OSError as error:
        raise FileError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FileError("is not UTF-8 text") from None
    except ValueError as error:  # a NUL in the path
        raise FileError(f"cannot be read: {error}") from None


def stamp(path: str | Path) -> Stamp:
    """The stamp of a file. Taken before the file is read, it shows every change since."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path costs more than the call, and this is for many files
    except (OSError, ValueError):
        return ABSENT
    return (status.st_mtime_ns, status.st_size)


def _bytes(path: Path) -> bytes:
    # Without O_NONBLOCK, opening a named pipe waits for a writer.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb") as file:  # noqa: PTH123 - the handle is open already
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise FileError("is not a regular file")
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise FileError(f"is larger than {MAX_BYTES:,} bytes")
    return content
