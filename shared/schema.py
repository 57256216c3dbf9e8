"""Migrations, and the check that the database's tables are the models'.

Migrations are numbered scripts in `shared/migrations`, a folder for each engine, run by `playhouse.migrations`. A
container that starts on a new or older database brings it up to date; one that starts on a newer database refuses to
work on it.
"""

import logging
import os

from peewee import PeeweeException

from shared import clock
from shared.engines import Engine
from shared.errors import DatabaseSchemaError

log = logging.getLogger(__name__)

_MIGRATIONS = os.path.join(os.path.dirname(__file__), "migrations")
_PATIENCE = 20.0  # seconds to wait for another container that is migrating


def ensure(engine: Engine) -> None:
    """Make the schema what this version needs. Raises the `DatabaseError` family."""
    if engine.exists() and not _pending(engine):
        return
    from playhouse.migrations import Runner

    with engine.exclusive(clock.elapsed() + _PATIENCE), engine.dialect.connection_context():
        applied = Runner(engine.dialect, _directory(engine)).up()
    if applied:
        log.info("migrated the database: %s", ", ".join(applied))


def difference(engine: Engine) -> str:
    """What the tables and indexes lack or have too much, one thing a line; empty when they match the models."""
    from playhouse.schema_diff import diff_models

    try:
        with engine.dialect.connection_context():
            return str(diff_models(engine.dialect, engine.models))
    except PeeweeException as error:
        raise engine.failure(error) or error from error


def _directory(engine: Engine) -> str:
    return os.path.join(_MIGRATIONS, engine.kind)


def _pending(engine: Engine) -> set[str]:
    applied = _applied(engine)
    try:
        known = {name.removesuffix(".py") for name in os.listdir(_directory(engine)) if name[0].isdigit()}
    except OSError as error:  # too many open files, that is
        raise engine.failure(error) or error from error
    if newer := applied - known:
        raise DatabaseSchemaError(f"database schema is newer than this version of the service: {max(newer)}")
    return known - applied


def _applied(engine: Engine) -> set[str]:
    try:
        return {name for (name,) in engine.fetch("SELECT name FROM schema_migration")}
    except DatabaseSchemaError:  # not migrated yet, or made by somebody else: the first migration will tell
        return set()
