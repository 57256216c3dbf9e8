"""The command line: `python -m shared.admin export`, `purge`, `report-user`, `erase-user` or `stats`.

The database is the one of `SWITCHBOARD_DATABASE_URL` or of the option. `shared.cli.program` has the exit codes.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from shared.admin.databases import Database, opened_database
from shared.admin.erasing import Found, erase, rehearse
from shared.admin.exporting import export, one_session
from shared.admin.formats import FORMATS
from shared.admin.moments import moment
from shared.admin.purging import check_before, deleted, purge, survey
from shared.admin.reporting import report
from shared.admin.statistics import statistics
from shared.cli.databases import RefusedError
from shared.cli.output import opened_output
from shared.cli.program import add_database_option, database_of, run, say
from shared.cli.progress import Progress
from shared.config import Settings
from shared.entities import ERASED
from shared.rules import is_user_id

_OUTPUT = "--output"
_BEFORE = "--ended-before"
_LOG_LEFT = (
    "SQLite's log still has older copies: a reader was in the way. The service overwrites it later; to be sure, run"
    " this again"
)

Command = Callable[[Database, argparse.Namespace], Iterator[str]]


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return run(_parser(), arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m shared.admin", description="The life of data: for its operator.")
    commands = parser.add_subparsers(metavar="command", required=True)

    def add(name: str, command: Command, help_: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=help_, description=help_)
        add_database_option(one)
        one.set_defaults(run=_with_database(command))
        return one

    exporting = add("export", _export, "write a session, or all that ended before a time, with their messages")
    chosen = exporting.add_mutually_exclusive_group(required=True)
    chosen.add_argument("session", metavar="SESSION", nargs="?", help="the id of a session")
    _add_before(chosen, required=False)
    exporting.add_argument("--format", choices=sorted(FORMATS), default="ndjson", help="default: ndjson")
    _add_output(exporting)
    _add_dry_run(exporting)
    purging = add("purge", _purge, "delete the sessions that ended before a time, with everything that belongs to them")
    _add_before(purging, required=True)
    _add_dry_run(purging)
    reporting = add("report-user", _report, "write what is held about a user, as lines of JSON")
    _add_user(reporting)
    _add_output(reporting)
    erasing = add("erase-user", _erase, "erase a user from every ended session; it cannot be undone")
    _add_user(erasing)
    _add_dry_run(erasing)
    counting = add("stats", _stats, "say how much data there is, and how old it is")
    counting.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    return parser


def _add_before(parser: argparse._ActionsContainer, *, required: bool) -> None:
    help_ = "the sessions that ended before this: an age (400d) or a date (2026-01-31, midnight UTC)"
    parser.add_argument(_BEFORE, metavar="DATE|DAYSd", type=moment, required=required, help=help_)


def _add_output(parser: argparse.ArgumentParser) -> None:
    help_ = "a file, which is complete or absent, readable by you alone; default: standard output"
    parser.add_argument(_OUTPUT, metavar="FILE", help=help_)


def _add_dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say how much it is")


def _add_user(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user", metavar="ID", type=_user, help="a user id")


def _user(text: str) -> str:
    if is_user_id(text):
        return text
    reason = "stands for every erased user" if text == ERASED else "is no user id: 1-50 of A-Z, a-z, 0-9, '_' and '-'"
    raise argparse.ArgumentTypeError(f"{text[:60]!a} {reason}")


def _with_database(command: Command) -> Callable[..., Iterator[str]]:
    def run_command(settings: Settings, options: argparse.Namespace) -> Iterator[str]:
        chosen, named = database_of(settings, options)
        with opened_database(chosen, named) as database:
            yield from command(database, options)

    return run_command


def _export(database: Database, options: argparse.Namespace) -> Iterator[str]:
    if options.session is not None:
        found = one_session(database, options.session)
        chosen, sessions, messages = iter([found]), 1, found[1]
    else:
        sessions, messages, _enrollments = survey(database, options.ended_before)
        chosen = database.reads.whole_sessions(options.ended_before)
    if options.dry_run:
        yield f"would export {sessions:,} sessions, {messages:,} messages"
        return
    with opened_output(options.output, _OUTPUT) as write, _progress("exporting", messages) as moved:
        exported = export(database, chosen, FORMATS[options.format](), write, moved)
    yield from _said(options, "exported {:,} sessions, {:,} messages".format(*exported))


def _purge(database: Database, options: argparse.Namespace) -> Iterator[str]:
    check_before(options.ended_before, _BEFORE)
    planned = survey(database, options.ended_before)
    if options.dry_run:
        yield "would purge {:,} sessions, {:,} messages, {:,} enrollments".format(*planned)
        return
    with _progress("purging", planned.rows) as moved:
        purged, _complete = purge(database, options.ended_before, moved)
    yield f"purged {deleted(purged)}"
    if not database.removals.empty_log():
        yield _LOG_LEFT


def _report(database: Database, options: argparse.Namespace) -> Iterator[str]:
    sessions = database.reads.session_count()
    with opened_output(options.output, _OUTPUT) as write, _progress("searching", sessions, "sessions") as moved:
        counts = report(database, options.user, write, moved)
    held = ", ".join(f"{number:,} {kind}" for kind, number in counts.items())
    yield from _said(options, f"held: {held}" if held else "nothing is held about this user")


def _erase(database: Database, options: argparse.Namespace) -> Iterator[str]:
    work: Callable[..., Found] = rehearse if options.dry_run else erase
    with _progress("searching", database.reads.session_count(), "sessions") as moved:
        erased, left = work(database, options.user, moved)
    verb = "would erase" if options.dry_run else "erased"
    yield "{} the user in {:,} sessions, {:,} messages, {:,} kept answers".format(verb, *erased)
    if not options.dry_run and not database.removals.empty_log():
        yield _LOG_LEFT
    if left:
        raise RefusedError(f"{left:,} active sessions with this user were left: end them, then run this again")


def _stats(database: Database, options: argparse.Namespace) -> Iterator[str]:
    found = statistics(database)
    if options.format == "json":
        yield json.dumps(found)
        return
    for name, value in found.items():
        yield f"{name:<22} {value:>15,}" if isinstance(value, int) else f"{name:<22} {value or '-':>27}"


@contextmanager
def _progress(label: str, total: int, unit: str = "rows") -> Iterator[Callable[[int], None]]:
    with closing(Progress(sys.stderr, label, total, unit=unit)) as progress:
        yield progress.moved


def _said(options: argparse.Namespace, line: str) -> Iterator[str]:
    """The line; on standard error when standard output has the data."""
    if options.output is None:
        say(sys.stderr, line)
    else:
        yield line


if __name__ == "__main__":
    sys.exit(main())
