"""The first schema on PostgreSQL: plain statements that distributed engines support as well.

Each statement is its own transaction, because those engines allow one change of the schema in a transaction. Each may
run again: a migration that was interrupted runs a second time from the start. There are no foreign keys: the statement
that stores a message needs the session head, and sessions are never deleted. There is no descending index: a list reads
the index backwards, and sorts sessions that started in the same microsecond.
"""

from typing import Any

from peewee import Database

atomic = False

_STATEMENTS = (
    """
    CREATE TABLE IF NOT EXISTS sessions (
      id uuid PRIMARY KEY,
      name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
      created_by text NOT NULL,
      start_time timestamptz NOT NULL,
      end_time timestamptz,
      status text NOT NULL CHECK (status IN ('active', 'ended')),
      student_ids text NOT NULL,
      CHECK ((status = 'active') = (end_time IS NULL)),
      CHECK (end_time >= start_time)
    )
    """,
    "CREATE INDEX IF NOT EXISTS sessions_active ON sessions (start_time, id) WHERE status = 'active'",
    "CREATE INDEX IF NOT EXISTS sessions_ended ON sessions (start_time, id) WHERE status = 'ended'",
    "CREATE INDEX IF NOT EXISTS sessions_newest ON sessions (start_time, id)",
    "CREATE INDEX IF NOT EXISTS sessions_creator ON sessions (created_by, start_time, id, status)",
    """
    CREATE TABLE IF NOT EXISTS session_heads (
      session_id uuid PRIMARY KEY,
      status text NOT NULL,
      sequence bigint NOT NULL,
      timestamp timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS messages (
      session_id uuid NOT NULL,
      sequence bigint NOT NULL CHECK (sequence > 0),
      id uuid NOT NULL,
      type text NOT NULL CHECK (
        type IN ('instructor_inbox', 'request_response', 'analytics',
                 'inbox_response', 'request', 'instructor_broadcast')
      ),
      context text NOT NULL,
      from_user text NOT NULL,
      to_user text,
      timestamp timestamptz NOT NULL,
      content text NOT NULL,
      PRIMARY KEY (session_id, sequence),
      CHECK ((type IN ('inbox_response', 'request')) = (to_user IS NOT NULL))
    )
    """,
    "CREATE UNIQUE INDEX IF NOT EXISTS messages_id ON messages (session_id, id)",
    """
    CREATE TABLE IF NOT EXISTS enrollments (
      student_id text NOT NULL,
      start_time timestamptz NOT NULL,
      session_id uuid NOT NULL,
      PRIMARY KEY (student_id, start_time, session_id)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS session_counts (
      slot integer PRIMARY KEY,
      active bigint NOT NULL,
      ended bigint NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS idempotency_keys (
      scope text NOT NULL,
      key text NOT NULL,
      fingerprint text NOT NULL,
      answer text NOT NULL,
      created_at timestamptz NOT NULL,
      PRIMARY KEY (scope, key)
    )
    """,
    "CREATE INDEX IF NOT EXISTS idempotency_keys_created_at ON idempotency_keys (created_at)",
)


def up(migrator: Any, db: Database) -> None:
    """Create the six tables."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)  # type: ignore[no-untyped-call]
