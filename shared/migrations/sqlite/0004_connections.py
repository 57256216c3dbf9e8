"""Connections, and the deliveries of sessions that have some, on SQLite."""

from typing import Any

from peewee import Database

_STATEMENTS = (
    """
    CREATE TABLE connections (
      connection_id TEXT NOT NULL PRIMARY KEY,
      session_id TEXT NOT NULL,
      user_id TEXT NOT NULL,
      role TEXT NOT NULL,
      connected_at TEXT NOT NULL,
      state TEXT NOT NULL,
      position INTEGER NOT NULL,
      lease_token TEXT,
      lease_until TEXT
    ) WITHOUT ROWID
    """,
    "CREATE UNIQUE INDEX connections_current ON connections (session_id, user_id) WHERE state <> 'replaced'",
    "CREATE INDEX connections_replaced ON connections (session_id, user_id) WHERE state = 'replaced'",
    """
    CREATE TABLE session_deliveries (
      session_id TEXT NOT NULL PRIMARY KEY,
      connected INTEGER NOT NULL,
      delivered INTEGER NOT NULL,
      delivery_token TEXT,
      delivering_until TEXT
    ) WITHOUT ROWID
    """,
)


def up(migrator: Any, db: Database) -> None:
    """Create the two tables."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)  # type: ignore[no-untyped-call]
