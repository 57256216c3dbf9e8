"""The record of erasures, on PostgreSQL. The statement may run again."""

from typing import Any

from peewee import Database

atomic = False

_TABLE = """
CREATE TABLE IF NOT EXISTS erasures (
  id uuid PRIMARY KEY,
  began_at timestamptz NOT NULL,
  finished_at timestamptz,
  sessions integer NOT NULL,
  messages integer NOT NULL,
  answers integer NOT NULL
)
"""


def up(migrator: Any, db: Database) -> None:
    """Create the table."""
    db.execute_sql(_TABLE)  # type: ignore[no-untyped-call]
