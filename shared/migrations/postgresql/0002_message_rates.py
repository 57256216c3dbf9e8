"""The counts of a message rate limit, on PostgreSQL. The statement may run again."""

from typing import Any

from peewee import Database

atomic = False

_TABLE = """
CREATE TABLE IF NOT EXISTS message_rates (
  user_id text PRIMARY KEY,
  window_start timestamptz NOT NULL,
  sent integer NOT NULL
)
"""


def up(migrator: Any, db: Database) -> None:
    """Create the table."""
    db.execute_sql(_TABLE)  # type: ignore[no-untyped-call]
