"""The command line: `python -m shared.migrate status`, `up`, `check` or `copy`.

The database is the one of `SWITCHBOARD_DATABASE_URL` or of the option. `shared.cli.program` has the exit codes.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator

import msgspec

from shared.cli.databases import opened
from shared.cli.program import DATABASE_SETTING, add_database_option, at, database_of, run
from shared.config import Settings
from shared.engines import Engine
from shared.migrate.commands import check, status, up
from shared.migrate.copying import copy
from shared.migrate.source import Source
from shared.migrate.target import Target

_STATEMENT_TIMEOUT = 300.0  # seconds that one statement of a copy may take


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return run(_parser(), arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m shared.migrate", description="The database's schema, and its move.")
    commands = parser.add_subparsers(metavar="command", required=True)
    for name, command, help_ in (
        ("status", status, "say which migrations are applied and which are pending"),
        ("up", up, "apply what is pending; safe when many do it at once"),
        ("check", check, "exit with 0 when the schema is what this version needs, else with 1 and the differences"),
    ):
        one = commands.add_parser(name, help=help_, description=help_)
        add_database_option(one)
        one.set_defaults(run=_with_one(command))
    help_ = "move a SQLite file into an empty PostgreSQL database; killed midway, it goes on when run again"
    move = commands.add_parser("copy", help=help_, description=help_)
    move.add_argument("--from", dest="source", metavar="URL", required=True, help="sqlite:///old.db")
    move.add_argument("--to", dest="target", metavar="URL", help=f"postgresql://…, default: {DATABASE_SETTING}")
    move.set_defaults(run=_copy)
    return parser


def _with_one(command: Callable[[Engine, str], Iterable[str]]) -> Callable[..., Iterator[str]]:
    def run_command(settings: Settings, options: argparse.Namespace) -> Iterator[str]:
        chosen, named = database_of(settings, options)
        with opened(chosen, named) as engine:
            yield from command(engine, named)

    return run_command


def _copy(settings: Settings, options: argparse.Namespace) -> Iterator[str]:
    named = DATABASE_SETTING if options.target is None else "--to"
    for_copy = msgspec.structs.replace(settings, write_timeout_seconds=_STATEMENT_TIMEOUT)
    with opened(at(settings, options.source), "--from") as old, opened(at(for_copy, options.target), named) as new:
        source = Source(old, "--from")
        yield from copy(source, Target(new, named), sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
