"""The SQLite file that `copy` reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared import clock
from shared.cli.databases import RefusedError, blaming
from shared.engines import Engine, Row
from shared.migrate.tables import ENROLLMENTS, ERASURES, HEADS, KEYS, Table
from shared.migrations import schema

_LOCK_TIMEOUT = 20.0  # seconds to wait for the lock across processes, which the service's writers use too
_BATCH_CHARACTERS = 1_500_000  # at most 6 MB as UTF-8; distributed engines take 8 MB in a transaction

_VERSION = f"SELECT count(*), count(nullif(status, 'active')), coalesce(sum(sequence), 0) FROM {HEADS.source}"
_COUNT = " + ".join(f"(SELECT count(*) FROM {table.source})" for table in (ENROLLMENTS, KEYS, ERASURES))
_BIRTH = "SELECT name, applied, coalesce((SELECT id FROM sessions ORDER BY rowid LIMIT 1), '') FROM schema_migration"


class Source:
    """A database file of the service, with the schema of this version. Every method may raise `RefusedError`."""

    def __init__(self, engine: Engine, named: str) -> None:
        """Check that the file can be copied."""
        self.engine = engine
        self.named = named
        with blaming(named):
            if engine.kind != "sqlite":
                raise RefusedError(f"{named} must begin with sqlite:///: copy moves a SQLite file into PostgreSQL")
            if not engine.exists():
                raise RefusedError(f"{named}: there is no such file")
            if pending := schema.pending(engine):
                advice = f"bring it up to date first, with up --database-url and the same URL ({pending[0]} is pending)"
                raise RefusedError(f"{named}: {advice}")

    @contextmanager
    def unchanging(self) -> Iterator[None]:
        """Hold the lock across processes: other processes can read, and their writes get `database_busy`."""
        with blaming(self.named), self.engine.exclusive(clock.elapsed() + _LOCK_TIMEOUT):
            yield

    def identity(self) -> str:
        """A text that identifies the file and never changes: when its schema was applied, and its first session."""
        return " ".join(map(str, min(self._fetch(_BIRTH))))

    def version(self) -> str:
        """A text that every write of the service changes: the numbers of sessions, ended sessions and messages."""
        return " ".join(map(str, self._fetch(_VERSION)[0]))

    def rows(self) -> int:
        """The number of rows to copy."""
        sessions, _, messages = self._fetch(_VERSION)[0]
        return int(2 * sessions + messages + sum(self._fetch(f"SELECT {_COUNT}")[0]))

    def batch(self, table: Table, after: Row) -> list[Row]:
        """The rows after a key, or the first rows: as many as one transaction of the target can take."""
        with blaming(self.named):
            return self.engine.walk(table.page("sqlite", after=bool(after)), after, _take)

    def _fetch(self, statement: str) -> list[Row]:
        with blaming(self.named):
            return self.engine.fetch(statement)


def _take(rows: Iterator[Row]) -> list[Row]:
    taken: list[Row] = []
    room = _BATCH_CHARACTERS
    for row in rows:
        room -= sum(map(_characters, row))
        if taken and room < 0:
            break
        taken.append(row)
    return taken


def _characters(value: Any) -> int:
    return len(value) if isinstance(value, str) else 8
