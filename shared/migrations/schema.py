"""Migrations, and the check that the database's tables match the models.

Migrations are numbered scripts in `shared/migrations`, one folder for each engine, run by `playhouse.migrations`. A
cold start applies the pending ones, and refuses a database that is newer than this version. When several processes
start at once, one of them migrates; the others wait and then have nothing to do.
"""

import logging
import os
import time
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from peewee import DateTimeField, PeeweeException

from shared import clock
from shared.engines import Engine
from shared.errors import DatabaseBusyError, DatabaseError, DatabaseSchemaError
from shared.retries import backoff

if TYPE_CHECKING:
    from playhouse.migrations import Runner

log = logging.getLogger(__name__)

_MIGRATIONS = os.path.dirname(__file__)
_LOCK_TIMEOUT = 20.0  # seconds to wait for another process that is migrating
_ATTEMPTS = 4  # when tables exist already: another process may be creating the rest


class Migration(NamedTuple):
    """A migration. `applied` is a time, None while it is pending. `known` is False if only a newer version has it."""

    name: str
    applied: str | None
    known: bool


def ensure(engine: Engine, timeout: float = _LOCK_TIMEOUT) -> list[str]:
    """Apply the pending migrations, and return their names. Raises the `DatabaseError` family."""
    if not pending(engine):
        return []
    applied = _migrate(engine, timeout)
    if applied:
        log.info("migrated the database: %s", ", ".join(applied))
    pending(engine)  # raises if a newer version has migrated while this one waited
    return applied


def difference(engine: Engine) -> str:
    """How tables and indexes differ from the models, one difference per line; empty when they match."""
    from playhouse.schema_diff import diff_models

    try:
        with engine.dialect.connection_context():
            return str(diff_models(engine.dialect, engine.models))
    except PeeweeException as error:
        raise engine.failure(error) or error from error


def migrations(engine: Engine) -> list[Migration]:
    """Every migration, in order: those of this version, and those that only the database knows."""
    applied = _applied(engine)
    known = _known(engine)
    return [Migration(name, applied.get(name), name in known) for name in sorted(known | applied.keys())]


def pending(engine: Engine) -> list[str]:
    """The names of the pending migrations, in order. Raises `DatabaseSchemaError` if the database is newer."""
    found = migrations(engine)
    if newer := [migration.name for migration in found if not migration.known]:
        raise DatabaseSchemaError(f"database schema is newer than this version of the service: {newer[-1]}")
    return [migration.name for migration in found if migration.applied is None]


def _migrate(engine: Engine, timeout: float) -> list[str]:
    deadline = clock.elapsed() + timeout
    for attempt in count(1):
        try:
            with engine.exclusive(deadline), engine.dialect.connection_context():
                return list(_runner(engine).up())
        except (DatabaseError, PeeweeException) as error:
            # Without advisory locks, processes migrate concurrently: one creates the tables, the others fail.
            if not pending(engine):
                return []
            if isinstance(error, PeeweeException) and attempt == _ATTEMPTS:
                raise DatabaseSchemaError("database holds tables that this version did not make") from error
            if isinstance(error, DatabaseError) and not _lost_race(error, deadline):
                raise
            time.sleep(backoff(attempt + 1))
    raise AssertionError("unreachable")


def _lost_race(error: DatabaseError, deadline: float) -> bool:
    return isinstance(error, DatabaseBusyError) and error.transient and clock.elapsed() < deadline


def _runner(engine: Engine) -> "Runner":
    from playhouse.migrations import Runner

    runner = Runner(engine.dialect, _directory(engine))
    runner.History._meta.add_field("applied", DateTimeField(default=clock.now))  # the default is local time
    return runner


def _directory(engine: Engine) -> str:
    return os.path.join(_MIGRATIONS, engine.kind)


def _known(engine: Engine) -> set[str]:
    try:
        return {name.removesuffix(".py") for name in os.listdir(_directory(engine)) if name[0].isdigit()}
    except OSError as error:  # such as too many open files
        raise engine.failure(error) or error from error


def _applied(engine: Engine) -> dict[str, str]:
    if not engine.exists():  # a read would create a missing file
        return {}
    try:
        return {name: _moment(applied) for name, applied in engine.fetch("SELECT name, applied FROM schema_migration")}
    except DatabaseSchemaError:  # not migrated yet, or tables of another program: then the first migration fails
        return {}


def _moment(applied: datetime | str) -> str:
    """When a migration was applied, in the format of the service; a text in no known format is returned as it is."""
    try:
        moment = applied if isinstance(applied, datetime) else datetime.fromisoformat(applied)
    except ValueError:
        return str(applied)
    return clock.render(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
