"""The command line: `python -m shared.migrate status`, `up`, `check` or `copy`.

The database is the one of `SWITCHBOARD_DATABASE_URL` or of the option. Exit codes: 0; 1 with one line on standard error
that names the setting or option and contains no password; 2 for a wrong command line; 130 when interrupted. With
`SWITCHBOARD_LOG_LEVEL=DEBUG` the log has the details of an error.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO

import msgspec

from shared.config import Settings, variable
from shared.engines import Engine
from shared.errors import ConfigurationError
from shared.migrate.commands import check, status, up
from shared.migrate.copying import copy
from shared.migrate.databases import RefusedError, opened
from shared.migrate.source import Source
from shared.migrate.target import Target

log = logging.getLogger("shared.migrate")

_SETTING = variable("database_url")
_STATEMENT_TIMEOUT = 300.0  # seconds that one statement of a copy may take
_MAX_MESSAGE = 300  # characters of a driver's message


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        for line in options.run(_settings(), options):
            _print(line)
    except (RefusedError, ConfigurationError) as refusal:
        log.debug("refused", exc_info=True)
        _say(sys.stderr, f"error: {refusal}")
    except _OutputError as error:
        _say(sys.stderr, f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _say(sys.stderr, "\nerror: interrupted; the same command goes on from here")
        return 130
    except Exception as error:
        log.debug("failed", exc_info=True)
        _say(sys.stderr, f"error: {type(error).__name__}: {str(error).partition(chr(10))[0][:_MAX_MESSAGE]}")
    else:
        return 0
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m shared.migrate", description="The database's schema, and its move.")
    commands = parser.add_subparsers(metavar="command", required=True)
    for name, command, help_ in (
        ("status", status, "say which migrations are applied and which are pending"),
        ("up", up, "apply what is pending; safe when many do it at once"),
        ("check", check, "exit with 0 when the schema is what this version needs, else with 1 and the differences"),
    ):
        one = commands.add_parser(name, help=help_, description=help_)
        one.add_argument("--database-url", metavar="URL", help=f"default: {_SETTING}")
        one.set_defaults(run=_with_one(command))
    help_ = "move a SQLite file into an empty PostgreSQL database; killed midway, it goes on when run again"
    move = commands.add_parser("copy", help=help_, description=help_)
    move.add_argument("--from", dest="source", metavar="URL", required=True, help="sqlite:///old.db")
    move.add_argument("--to", dest="target", metavar="URL", help=f"postgresql://…, default: {_SETTING}")
    move.set_defaults(run=_copy)
    return parser


def _with_one(command: Callable[[Engine, str], Iterable[str]]) -> Callable[..., Iterator[str]]:
    def run(settings: Settings, options: argparse.Namespace) -> Iterator[str]:
        named = _SETTING if options.database_url is None else "--database-url"
        with opened(_at(settings, options.database_url), named) as engine:
            yield from command(engine, named)

    return run


def _copy(settings: Settings, options: argparse.Namespace) -> Iterator[str]:
    named = _SETTING if options.target is None else "--to"
    for_copy = msgspec.structs.replace(settings, write_timeout_seconds=_STATEMENT_TIMEOUT)
    with opened(_at(settings, options.source), "--from") as old, opened(_at(for_copy, options.target), named) as new:
        source = Source(old, "--from")
        yield from copy(source, Target(new, named), sys.stderr)


def _settings() -> Settings:
    settings = Settings.from_environment()
    if settings.log_level == "DEBUG":
        logging.basicConfig()
        logging.getLogger("shared").setLevel(settings.log_level)
    else:
        logging.getLogger("shared").addHandler(logging.NullHandler())  # without it Python prints warnings
    for name in Settings.unknown():
        _say(sys.stderr, f"warning: {name} is not a setting of this service: is it misspelt?")
    return settings


def _at(settings: Settings, url: str | None) -> Settings:
    return settings if url is None else msgspec.structs.replace(settings, database_url=url.strip())


class _OutputError(Exception):
    """Standard output cannot be written."""


def _print(line: str) -> None:
    if sys.stdout is None:
        raise _OutputError("standard output is closed")
    try:
        _say(sys.stdout, line)
    except OSError as error:
        raise _OutputError(f"standard output cannot be written: {error.strerror}") from None


def _say(stream: TextIO, line: str) -> None:
    stream.write(line + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
