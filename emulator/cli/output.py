"""Standard output of the commands: what cannot be written there is an error of the command."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from emulator.cli import options
from emulator.service import console


def check() -> None:
    """Refuse to work when the caller has closed standard output."""
    if sys.stdout is None:
        options.refuse("standard output is closed")


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
