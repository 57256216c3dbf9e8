"""Runs a command: its settings, its lines on standard output, its errors and exit codes.

Exit codes: 0; 1 with one line on standard error that names the setting or option and contains no password; 2 for a
wrong command line; 130 when interrupted or terminated. With `SWITCHBOARD_LOG_LEVEL=DEBUG` the log has the details of
an error.
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import TextIO

import msgspec

from shared.cli.databases import RefusedError
from shared.cli.output import OutputError, print_line
from shared.config import Settings, variable
from shared.errors import ConfigurationError

log = logging.getLogger(__name__)

DATABASE_SETTING = variable("database_url")

_MAX_MESSAGE = 300  # characters of a driver's message


def run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `options.run(settings, options)` yields lines for standard output."""
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an ended command removes its temporary file
    try:
        for line in options.run(_settings(), options):
            print_line(line)
    except (RefusedError, ConfigurationError) as refusal:
        log.debug("refused", exc_info=True)
        say(sys.stderr, f"error: {refusal}")
    except OutputError as error:
        say(sys.stderr, f"error: {error}")
    except KeyboardInterrupt:
        say(sys.stderr, "\nerror: interrupted; the same command goes on from here")
        return 130
    except Exception as error:
        log.debug("failed", exc_info=True)
        say(sys.stderr, f"error: {type(error).__name__}: {str(error).partition(chr(10))[0][:_MAX_MESSAGE]}")
    else:
        return 0
    return 1


def add_database_option(parser: argparse.ArgumentParser) -> None:
    """Add `--database-url`."""
    parser.add_argument("--database-url", metavar="URL", help=f"default: {DATABASE_SETTING}")


def database_of(settings: Settings, options: argparse.Namespace) -> tuple[Settings, str]:
    """The settings with the database of the option, if it is given, and the name of the option or setting."""
    if options.database_url is None:
        return settings, DATABASE_SETTING
    return at(settings, options.database_url), "--database-url"


def at(settings: Settings, url: str | None) -> Settings:
    """The settings with another database, if there is one."""
    return settings if url is None else msgspec.structs.replace(settings, database_url=url.strip())


def _settings() -> Settings:
    settings = Settings.from_environment(os.environ)
    if settings.log_level == "DEBUG":
        logging.basicConfig()
        logging.getLogger("shared").setLevel(settings.log_level)
    else:
        logging.getLogger("shared").addHandler(logging.NullHandler())  # without it Python prints warnings
    for name in Settings.unknown(os.environ):
        say(sys.stderr, f"warning: {name} is not a setting of this service: is it misspelt?")
    return settings


def say(stream: TextIO | None, line: str) -> None:
    """Write a line at once; nothing where there is no such stream."""
    if stream is not None:
        stream.write(line + "\n")
        stream.flush()
