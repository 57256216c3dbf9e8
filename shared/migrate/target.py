"""The PostgreSQL database that `copy` writes, with a progress mark that says how far the copy is.

The mark is the only row of its own table. It changes in the same transaction as the rows that were copied, so it is
right whenever the copy is killed. A batch whose outcome is unknown is sent again; if it was committed, the second time
changes nothing. Each run writes its own id into the mark. A run that finds another id stops before it writes.
"""

import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import msgspec

from shared import clock
from shared.cli.databases import RefusedError, blaming
from shared.engines import Connection, Engine, Row
from shared.errors import DatabaseSchemaError
from shared.migrate.commands import differences
from shared.migrate.tables import CHANGING, TABLES, Table
from shared.migrations import schema
from shared.retries import persist

T = TypeVar("T")

_RETRY_TIMEOUT = 60.0  # seconds in which a batch is retried, while the server restarts or fails over
_FINISHED = "finished"

_CREATE = """
CREATE TABLE IF NOT EXISTS copy_progress (
  id integer PRIMARY KEY, run text NOT NULL, source text NOT NULL, version text NOT NULL,
  stage text NOT NULL, reached text NOT NULL, copied bigint NOT NULL
)
"""
_READ = "SELECT source, version, stage, reached, copied FROM copy_progress"
_SIGN = """
INSERT INTO copy_progress (id, run, source, version, stage, reached, copied) VALUES (1, %s, '', '', '', '[]', 0)
ON CONFLICT (id) DO UPDATE SET run = excluded.run
RETURNING source, version, stage, reached, copied
"""
_MOVE = """
UPDATE copy_progress SET source = %s, version = %s, stage = %s, reached = %s, copied = %s
WHERE id = 1 AND run = %s RETURNING 1
"""
_OCCUPIED = "SELECT " + " OR ".join(f"EXISTS (SELECT 1 FROM {table.name})" for table in TABLES)
_RECOUNT = (
    "DELETE FROM session_counts",
    "INSERT INTO session_counts (slot, active, ended)"
    " SELECT 0, count(*) FILTER (WHERE status = 'active'), count(*) FILTER (WHERE status = 'ended') FROM sessions",
)


class OccupiedError(RefusedError):
    """The target has rows, and no mark of an unfinished copy of this source."""


class Mark(NamedTuple):
    """How far a copy is. `stage` is a table, `reached` the last key in it, `copied` the number of rows so far."""

    source: str
    version: str = ""  # empty until the rows that may have changed are deleted from the target
    stage: str = ""
    reached: str = "[]"
    copied: int = 0

    @property
    def finished(self) -> bool:
        """Whether everything was copied and verified."""
        return self.stage == _FINISHED

    @property
    def key(self) -> Row:
        """The key of the last row copied; empty at the beginning."""
        return tuple(msgspec.json.decode(self.reached))

    def moved(self, table: Table, rows: Sequence[Row]) -> "Mark":
        """The mark after these rows."""
        reached = msgspec.json.encode(rows[-1][: table.key]).decode()
        return self._replace(stage=table.name, reached=reached, copied=self.copied + len(rows))


class Target:
    """The target database. Every method may raise `RefusedError`."""

    def __init__(self, engine: Engine, named: str) -> None:
        """Apply the migrations, and check that the database can be copied to."""
        self.engine = engine
        self.named = named
        self._run = str(uuid.uuid4())
        if engine.kind != "postgresql":
            raise RefusedError(f"{named} must begin with postgresql://: copy moves a SQLite file into PostgreSQL")
        with blaming(named):
            schema.ensure(engine)
        if wrong := differences(engine, named):
            raise RefusedError(f"{named}: the tables are not what this version needs: {', '.join(wrong)}")

    def claim(self, source: str) -> Mark:
        """Write this run's id into the mark, and return the mark. Refuse a database with any other rows."""
        with blaming(self.named):
            try:
                mark = Mark(*self.engine.fetch(_READ)[0])
            except (DatabaseSchemaError, IndexError):  # no table or no row: no copy has begun
                mark = Mark("")
            if mark.source != source and self.engine.fetch(_OCCUPIED)[0][0]:  # checked before the table is created
                raise self._occupied()
            self._change_tables(_CREATE)
            return self._transaction(lambda connection: self._sign(connection, source))

    def _sign(self, connection: Connection, source: str) -> Mark:
        mark = Mark(*connection.execute(_SIGN, (self._run,)).fetchall()[0])
        if mark.source != source:
            if connection.execute(_OCCUPIED).fetchall()[0][0]:
                raise self._occupied()
            mark = Mark(source)
            self._move(connection, mark)
        return mark

    def _occupied(self) -> OccupiedError:
        return OccupiedError(f"{self.named}: it holds rows that are no copy of this source: name an empty database")

    def restart(self, mark: Mark, version: str) -> Mark:
        """Start again after the source was written to: delete the rows that may have changed, and keep the others."""
        with blaming(self.named):
            fresh = Mark(mark.source)
            self._transaction(lambda connection: self._move(connection, fresh))
            for table in CHANGING:
                while self._transaction(partial(self._delete_some, mark=fresh, table=table)):
                    pass
            fresh = fresh._replace(version=version)
            self._transaction(lambda connection: self._move(connection, fresh))
            return fresh

    def add(self, table: Table, rows: Sequence[Row], mark: Mark) -> None:
        """Write rows and the mark after them, in one transaction."""

        def work(connection: Connection) -> None:
            self._move(connection, mark)
            for row in rows:
                connection.execute(table.insert, row)

        with blaming(self.named):
            self._transaction(work)

    def finish(self, mark: Mark) -> None:
        """Count the sessions into one slot, and remove the mark."""

        def work(connection: Connection) -> None:
            self._move(connection, mark._replace(stage=_FINISHED))
            for statement in _RECOUNT:
                connection.execute(statement)

        with blaming(self.named):
            if not mark.finished:
                self._transaction(work)
            self._change_tables("DROP TABLE copy_progress")

    def _move(self, connection: Connection, mark: Mark) -> None:
        if not connection.execute(_MOVE, (*mark, self._run)).fetchall():
            raise RefusedError(f"{self.named}: another copy into it has begun, this one stops")

    def _delete_some(self, connection: Connection, mark: Mark, table: Table) -> bool:
        self._move(connection, mark)
        return bool(connection.execute(table.delete_some).fetchall())

    def _change_tables(self, statement: str) -> None:
        """Run one statement outside of a transaction: some engines change tables only there."""

        def work(connection: Connection) -> None:
            self.engine.allow_autocommit()
            connection.execute(statement)

        self._transaction(work)

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and return its result after the commit. Transient errors are retried."""
        deadline = clock.elapsed() + _RETRY_TIMEOUT
        return persist(lambda: self._attempt(work, deadline), deadline)

    def _attempt(self, work: Callable[[Connection], T], deadline: float) -> T:
        connection = self.engine.begin(deadline)
        try:
            found = work(connection)
            self.engine.commit()
            return found
        except BaseException as error:
            failure = self.engine.failure(error)
            self.engine.rollback()
            raise failure or error from error
        finally:
            self.engine.release()
