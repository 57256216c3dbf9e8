"""The tables that `copy` copies, in that order, and the statements for both sides.

Session heads are last. Without its head a session takes no writes on PostgreSQL. So a service that uses the target too
early cannot store a message in a history that is only partly copied.

Not copied: message rates, connections and deliveries. They are of the moment, and of the service that runs.
"""

from typing import NamedTuple

PAGE_ROWS = 2000
"""Rows of one read and of one transaction; distributed engines take at most 3,000."""

_HEADS = """(
  SELECT sessions.id AS session_id, sessions.status AS status, coalesce(messages.sequence, 0) AS sequence,
    coalesce(messages.timestamp, sessions.start_time) AS timestamp
  FROM sessions LEFT JOIN messages ON messages.session_id = sessions.id AND messages.sequence =
    (SELECT max(sequence) FROM messages AS later WHERE later.session_id = sessions.id)
)"""

_ONLY_UPDATE = """
ON CONFLICT (id) DO UPDATE SET status = excluded.status, end_time = excluded.end_time
WHERE sessions.status = 'active' AND excluded.status = 'ended'
"""


class Table(NamedTuple):
    """A table of the target. Its first columns are its key; `source` is the table or query with its rows on SQLite."""

    name: str
    key: int  # the number of its columns
    columns: tuple[str, ...]
    source: str
    conflict: str = "ON CONFLICT DO NOTHING"

    def page(self, kind: str, *, after: bool) -> str:
        """([key of the last row seen]) -> the next rows, in the order of the key; engines may sort text differently."""
        relation, parameter = (self.source, "?") if kind == "sqlite" else (self.name, "%s")
        key = ", ".join(self.columns[: self.key])
        where = f"WHERE ({key}) > ({', '.join([parameter] * self.key)})" if after else ""
        return f"SELECT {', '.join(self.columns)} FROM {relation} {where} ORDER BY {key} LIMIT {PAGE_ROWS}"

    @property
    def insert(self) -> str:
        """(columns), for PostgreSQL; an existing row stays as it is."""
        values = ", ".join(["%s"] * len(self.columns))
        return f"INSERT INTO {self.name} ({', '.join(self.columns)}) VALUES ({values}) {self.conflict}"

    @property
    def delete_some(self) -> str:
        """() -> a row for each deleted row; it deletes as many as one transaction can take."""
        key = ", ".join(self.columns[: self.key])
        some = f"SELECT {key} FROM {self.name} LIMIT {PAGE_ROWS}"
        return f"DELETE FROM {self.name} WHERE ({key}) IN ({some}) RETURNING 1"


SESSIONS = Table(
    "sessions",
    1,
    ("id", "name", "created_by", "start_time", "end_time", "status", "student_ids"),
    "sessions",
    _ONLY_UPDATE,
)
ENROLLMENTS = Table("enrollments", 3, ("student_id", "start_time", "session_id"), "enrollments")
MESSAGES = Table(
    "messages",
    2,
    ("session_id", "sequence", "id", "type", "context", "from_user", "to_user", "timestamp", "content"),
    "messages",
)
KEYS = Table("idempotency_keys", 2, ("scope", "key", "fingerprint", "answer", "created_at"), "idempotency_keys")
ERASURES = Table("erasures", 1, ("id", "began_at", "finished_at", "sessions", "messages", "answers"), "erasures")
HEADS = Table("session_heads", 1, ("session_id", "status", "sequence", "timestamp"), _HEADS)

TABLES = (SESSIONS, ENROLLMENTS, MESSAGES, KEYS, ERASURES, HEADS)

CHANGING = (KEYS, ERASURES, HEADS)
"""Tables whose rows the service may change or delete. The only update of a session is its end: see `_ONLY_UPDATE`."""
