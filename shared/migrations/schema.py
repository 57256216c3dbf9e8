"""Migrations, and the check that the database's tables are the models'.

Migrations are numbered scripts in `shared/migrations`, a folder for each engine, run by `playhouse.migrations`. A
container that starts on a new or older database brings it up to date; one that starts on a newer database refuses to
work on it. However many start at once, one migrates: the others wait, and find nothing left to do.
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
_PATIENCE = 20.0  # seconds to wait for another container that is migrating
_ATTEMPTS = 4  # at tables that are there already: another container may be about to make the rest


class Migration(NamedTuple):
    """A migration: when it was applied, None while it is pending; `known` unless a newer version brought it."""

    name: str
    applied: str | None
    known: bool


def ensure(engine: Engine, patience: float = _PATIENCE) -> list[str]:
    """Make the schema what this version needs; what was applied for that. Raises the `DatabaseError` family."""
    if not pending(engine):
        return []
    applied = _migrate(engine, patience)
    if applied:
        log.info("migrated the database: %s", ", ".join(applied))
    pending(engine)  # for its refusal: a newer version may have come first while this one waited
    return applied


def difference(engine: Engine) -> str:
    """What the tables and indexes lack or have too much, one thing a line; empty when they match the models."""
    from playhouse.schema_diff import diff_models

    try:
        with engine.dialect.connection_context():
            return str(diff_models(engine.dialect, engine.models))
    except PeeweeException as error:
        raise engine.failure(error) or error from error


def migrations(engine: Engine) -> list[Migration]:
    """Every migration in its order: this version's, and those that only the database knows."""
    applied = _applied(engine)
    known = _known(engine)
    return [Migration(name, applied.get(name), name in known) for name in sorted(known | applied.keys())]


def pending(engine: Engine) -> list[str]:
    """What is still to be applied, in order. Raises `DatabaseSchemaError` where the database is newer."""
    found = migrations(engine)
    if newer := [migration.name for migration in found if not migration.known]:
        raise DatabaseSchemaError(f"database schema is newer than this version of the service: {newer[-1]}")
    return [migration.name for migration in found if migration.applied is None]


def _migrate(engine: Engine, patience: float) -> list[str]:
    deadline = clock.elapsed() + patience
    for attempt in count(1):
        try:
            with engine.exclusive(deadline), engine.dialect.connection_context():
                return list(_runner(engine).up())
        except (DatabaseError, PeeweeException) as error:
            # Where the engine has no advisory lock, containers meet in the tables: one makes them, the others fail.
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
    runner.History._meta.add_field("applied", DateTimeField(default=clock.now))  # its own is in local time
    return runner


def _directory(engine: Engine) -> str:
    return os.path.join(_MIGRATIONS, engine.kind)


def _known(engine: Engine) -> set[str]:
    try:
        return {name.removesuffix(".py") for name in os.listdir(_directory(engine)) if name[0].isdigit()}
    except OSError as error:  # too many open files, that is
        raise engine.failure(error) or error from error


def _applied(engine: Engine) -> dict[str, str]:
    if not engine.exists():  # looking into a file that is missing would make it
        return {}
    try:
        return {name: _moment(applied) for name, applied in engine.fetch("SELECT name, applied FROM schema_migration")}
    except DatabaseSchemaError:  # not migrated yet, or made by somebody else: the first migration will tell
        return {}


def _moment(applied: datetime | str) -> str:
    """When a migration was applied; what this service did not write stays as it is."""
    try:
        moment = applied if isinstance(applied, datetime) else datetime.fromisoformat(applied)
    except ValueError:
        return str(applied)
    return clock.render(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
