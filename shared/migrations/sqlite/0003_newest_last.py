"""The indexes of lists in the order of a list, on SQLite.

Read backwards they give the newest start first, and of equal starts the greatest id first. In the
first schema's indexes the smallest id came first, so each page of a list had to be sorted.
"""

from typing import Any

from peewee import Database

_STATEMENTS = (
    "DROP INDEX sessions_active",
    "DROP INDEX sessions_ended",
    "DROP INDEX sessions_newest",
    "DROP INDEX sessions_creator",
    "CREATE INDEX sessions_active ON sessions (start_time, id) WHERE status = 'active'",
    "CREATE INDEX sessions_ended ON sessions (start_time, id) WHERE status = 'ended'",
    "CREATE INDEX sessions_newest ON sessions (start_time, id)",
    "CREATE INDEX sessions_creator ON sessions (created_by, start_time, id, status)",
)


def up(migrator: Any, db: Database) -> None:
    """Create the four indexes again."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)  # type: ignore[no-untyped-call]
