"""Connections, and the deliveries of sessions that have some, on PostgreSQL. The statements may run again.

The new columns of the session heads have no default and may be NULL: so no row is written, and distributed engines
that add a column only in this way can be migrated too.
"""

from typing import Any

from peewee import Database

atomic = False

_STATEMENTS = (
    """
    CREATE TABLE IF NOT EXISTS connections (
      connection_id text PRIMARY KEY,
      session_id uuid NOT NULL,
      user_id text NOT NULL,
      role text NOT NULL,
      connected_at timestamptz NOT NULL,
      state text NOT NULL,
      position bigint NOT NULL,
      lease_token uuid,
      lease_until timestamptz
    )
    """,
    """
    CREATE UNIQUE INDEX IF NOT EXISTS connections_current ON connections (session_id, user_id)
    WHERE state <> 'replaced'
    """,
    "CREATE INDEX IF NOT EXISTS connections_replaced ON connections (session_id, user_id) WHERE state = 'replaced'",
    "ALTER TABLE session_heads ADD COLUMN IF NOT EXISTS connected integer",
    "ALTER TABLE session_heads ADD COLUMN IF NOT EXISTS delivered bigint",
    "ALTER TABLE session_heads ADD COLUMN IF NOT EXISTS delivery_token uuid",
    "ALTER TABLE session_heads ADD COLUMN IF NOT EXISTS delivering_until timestamptz",
)


def up(migrator: Any, db: Database) -> None:
    """Create the table, and add the columns."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)  # type: ignore[no-untyped-call]
