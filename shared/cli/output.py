"""Where the result of a command goes: standard output, or a file that is complete or absent."""

import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from shared.cli.databases import RefusedError

_BUFFER = 1 << 20  # bytes

Write = Callable[[bytes], object]


class OutputError(Exception):
    """The result cannot be written: a full disk, a closed pipe. One line for the user."""


def print_line(line: str) -> None:
    """Write one line to standard output at once. Raises `OutputError`."""
    with _standard_output() as write:
        write(line.encode() + b"\n")


@contextmanager
def opened_output(path: str | None, named: str) -> Iterator[Write]:
    """What writes to this file, or to standard output without one. Raises `OutputError`, `RefusedError`.

    `named` is the option with the path. The file appears under its name when the `with` block ends without an error,
    with all of its content on the disk, readable by its owner only. Until then it is `<path>.partial`, which is removed
    after an error; one that a killed command left is overwritten by the next. An earlier file is replaced.
    """
    if path is None:
        with _standard_output() as write:
            yield write
    else:
        with _file(path, named) as write:
            yield write


@contextmanager
def _standard_output() -> Iterator[Write]:
    if sys.stdout is None:
        raise OutputError("standard output is closed")
    try:
        yield _checked(sys.stdout.buffer.write, "standard output")
        _checked(sys.stdout.buffer.flush, "standard output")()
    except OutputError:
        with suppress(OSError):  # what is left in the buffer would fail again when the interpreter ends
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
        raise


@contextmanager
def _file(path: str, named: str) -> Iterator[Write]:
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise RefusedError(f"{named}: {path} is not a regular file")
    partial = path + ".partial"
    with _signals_wait() as let_signals_in, open(_claim(partial, named), "wb", buffering=_BUFFER) as file:
        descriptor = file.fileno()
        try:
            let_signals_in()
            yield _checked(file.write, path)
            _checked(file.flush, path)()
            _checked(os.fsync, path)(descriptor)
            _checked(os.replace, path)(partial, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(partial)
            nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(nowhere, descriptor, inheritable=False)  # for what the buffer still has
            os.close(nowhere)
            raise
    _synchronise_folder(os.path.dirname(path))


@contextmanager
def _signals_wait() -> Iterator[Callable[[], object]]:
    """Let a signal wait that ends the command, until the yielded function is called: a new file must not be left."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _claim(partial: str, named: str) -> int:
    """Open the temporary file, empty, for this process alone."""
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RefusedError(f"{named}: {partial} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        moved = os.stat(partial).st_ino != os.fstat(descriptor).st_ino  # another command has finished it just now
        if not moved:
            os.fchmod(descriptor, 0o600)
            os.ftruncate(descriptor, 0)
    except (BlockingIOError, FileNotFoundError):
        moved = True
    except OSError as error:
        os.close(descriptor)
        raise RefusedError(f"{named}: {partial} cannot be written: {error.strerror}") from error
    if moved:
        os.close(descriptor)
        raise RefusedError(f"{named}: another command is writing {partial}")
    return descriptor


def _synchronise_folder(folder: str) -> None:
    """Put the file's new name on the disk too, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _checked(work: Callable[..., object], what: str) -> Callable[..., object]:
    def run(*arguments: object) -> object:
        try:
            return work(*arguments)
        except OSError as error:
            raise OutputError(f"{what} cannot be written: {error.strerror}") from None

    return run
