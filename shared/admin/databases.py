"""A database that a command has opened: what it reads and writes, and the single writer of its process."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.cli.databases import RefusedError, blaming, opened
from shared.config import Settings
from shared.database import writer_of
from shared.engines import Engine
from shared.migrations import schema
from shared.retention import Removals, removals_of
from shared.retention.reads import Reads
from shared.writer import Writer


class Database:
    """One database, as the commands use it."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self.reads = Reads(engine)
        self.removals: Removals = removals_of(engine)
        self.writer = writer


@contextmanager
def opened_database(settings: Settings, named: str) -> Iterator[Database]:
    """The database of these settings, which must exist with its schema up to date. Raises `RefusedError`.

    Errors of the database inside the `with` block become a `RefusedError` that names the setting or option.
    """
    with opened(settings, named) as engine, blaming(named):
        if not engine.exists():
            raise RefusedError(f"{named}: there is no such file")
        if pending := schema.pending(engine):
            raise RefusedError(f"{named}: {pending[0]} is pending: run `python -m shared.migrate up` first")
        writer = writer_of(engine, settings)
        try:
            yield Database(engine, writer)
        finally:
            writer.close()
