"""The SQLite file that `copy` reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared import clock
from shared.engines import Engine, Row
from shared.migrate.databases import RefusedError, blaming
from shared.migrate.tables import HEADS, Table
from shared.migrations import schema

_PATIENCE = 20.0  # seconds to wait for the lock, for which the service's own writers stand in line too
_CHARACTERS = 1_500_000  # of one batch: at most 6 MB as UTF-8, distributed engines take 8

_VERSION = f"SELECT count(*), count(nullif(status, 'active')), coalesce(sum(sequence), 0) FROM {HEADS.source}"
_COUNT = "SELECT (SELECT count(*) FROM enrollments), (SELECT count(*) FROM idempotency_keys)"
_BIRTH = "SELECT name, applied, coalesce((SELECT id FROM sessions ORDER BY rowid LIMIT 1), '') FROM schema_migration"


class Source:
    """A file of the service's, at this version. Every method may raise `RefusedError`."""

    def __init__(self, engine: Engine, named: str) -> None:
        """Refuse what cannot be copied from."""
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
        """Be the one writer: every other process of the service is told `database_busy` meanwhile, and can read."""
        with blaming(self.named), self.engine.exclusive(clock.elapsed() + _PATIENCE):
            yield

    def identity(self) -> str:
        """What no other file has and no write changes: when it was made, and the first session in it."""
        return " ".join(map(str, min(self._fetch(_BIRTH))))

    def version(self) -> str:
        """What every write of the service changes: how many sessions, ended ones and messages there are."""
        return " ".join(map(str, self._fetch(_VERSION)[0]))

    def rows(self) -> int:
        """How many rows there are to copy."""
        sessions, _, messages = self._fetch(_VERSION)[0]
        return int(2 * sessions + messages + sum(self._fetch(_COUNT)[0]))

    def batch(self, table: Table, after: Row) -> list[Row]:
        """The rows behind a key, or the first ones: as many as one transaction of the target can bear."""
        with blaming(self.named):
            return self.engine.walk(table.page("sqlite", after=bool(after)), after, _take)

    def _fetch(self, statement: str) -> list[Row]:
        with blaming(self.named):
            return self.engine.fetch(statement)


def _take(rows: Iterator[Row]) -> list[Row]:
    taken: list[Row] = []
    room = _CHARACTERS
    for row in rows:
        room -= sum(map(_characters, row))
        if taken and room < 0:
            break
        taken.append(row)
    return taken


def _characters(value: Any) -> int:
    return len(value) if isinstance(value, str) else 8
