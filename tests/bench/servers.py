"""PostgreSQL servers to measure on, as durable as they come, with the same rows as a file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg

from shared.config import Settings
from shared.database import DatabaseManager, open_database
from tests.bench.databases import Classrooms
from tests.postgres.server import Server

SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "maintenance_work_mem": "512MB"}
"""`fsync` and `synchronous_commit` stay on: a commit is on the disk."""

_TABLES = {
    "sessions": "id, name, created_by, start_time, end_time, status, student_ids",
    "enrollments": "student_id, start_time, session_id",
    "messages": "session_id, sequence, id, type, context, from_user, to_user, timestamp, content",
}


@contextmanager
def server() -> Iterator[Server]:
    """A server with an empty, migrated database."""
    with Server(SETTINGS) as started:
        open_service(started.url()).close()
        yield started


@contextmanager
def mirror(room: Classrooms) -> Iterator[Server]:
    """A server with what is in the file."""
    with server() as started, started.connect() as target, closing(sqlite3.connect(room.path)) as source:
        for table, columns in _TABLES.items():
            with target.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in source.execute(f"SELECT {columns} FROM {table}"):
                    copy.write_row(row)
        count(target)
        yield started


def count(target: psycopg.Connection) -> None:
    """Make the heads and the counts of sessions that came without, and let the planner know what is there."""
    target.execute(
        "INSERT INTO session_heads SELECT id, status, coalesce(last.sequence, 0), coalesce(last.timestamp, start_time)"
        " FROM sessions LEFT JOIN LATERAL (SELECT sequence, timestamp FROM messages WHERE session_id = sessions.id"
        " ORDER BY sequence DESC LIMIT 1) last ON true ON CONFLICT DO NOTHING"
    )
    target.execute(
        "INSERT INTO session_counts SELECT 0, count(*) FILTER (WHERE status = 'active'),"
        " count(*) FILTER (WHERE status = 'ended') FROM sessions"
        " ON CONFLICT (slot) DO UPDATE SET active = excluded.active, ended = excluded.ended"
    )
    target.execute("VACUUM ANALYZE")
    target.execute("CHECKPOINT")


def open_service(url: str) -> DatabaseManager:
    """The service's database manager on a server."""
    return open_database(Settings(database_url=url))
