"""Standard output of the commands: what cannot be written there is an error of the command."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

import typer

from emulator.cli import options
from emulator.service import console


@contextlib.contextmanager
def checked() -> Iterator[None]:
    """Around a whole command line: without a standard output, or with a help that cannot be written, it fails."""
    try:
        if sys.stdout is None:
            options.refuse("standard output is closed")
        try:
            yield
        except OSError as error:
            if "--help" not in sys.argv:  # typer prints the help itself
                raise
            _fail(error)
    except typer.Exit as refusal:
        raise SystemExit(refusal.exit_code) from None


def write(text: str) -> None:
    """Write lines; where that fails the command ends with the exit code 1, and without a word if the reader left."""
    try:
        console.write_all(console.visible_lines(text))
    except OSError as error:
        _fail(error)


def _fail(error: OSError) -> NoReturn:
    # What is still in the buffer would fail once more when Python exits.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        raise SystemExit(1)
    options.refuse(f"standard output cannot be written: {error.strerror}")
