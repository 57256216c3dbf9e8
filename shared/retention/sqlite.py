"""Purging and erasing on SQLite. `secure_delete` overwrites what is deleted with zeros, also in pages that get free."""

from contextlib import suppress

from shared import clock
from shared.engines import Connection
from shared.engines.sqlite.engine import SqliteEngine
from shared.entities import ERASED
from shared.errors import DatabaseBusyError
from shared.retention import (
    ERASED_CONTENT,
    Blank,
    ChangeAnswer,
    Cut,
    Drop,
    DropAnswer,
    Erased,
    EraseStep,
    Erasure,
    Purged,
    PurgeStep,
    Unenroll,
    Unname,
)
from shared.writes import Change

_OVERWRITE = "PRAGMA secure_delete = ON"

_CUT = "DELETE FROM messages WHERE session_id = ? AND sequence > ? RETURNING 1"
_UNENROLL = """
DELETE FROM enrollments WHERE session_id = ?1
  AND start_time = (SELECT start_time FROM sessions WHERE id = ?1)
  AND student_id IN (
    SELECT value FROM json_each((SELECT student_ids FROM sessions WHERE id = ?1)) WHERE key BETWEEN ?2 AND ?3
  )
RETURNING 1
"""
_DISCONNECT = (  # each uses an index
    "DELETE FROM connections WHERE session_id = ? AND state <> 'replaced'",
    "DELETE FROM connections WHERE session_id = ? AND state = 'replaced'",
    "DELETE FROM session_deliveries WHERE session_id = ?",
)
_DROP = "DELETE FROM sessions WHERE id = ? AND status = 'ended' RETURNING 1"
_COUNT = "UPDATE session_counts SET sessions = sessions - ? WHERE status = 'ended'"
_PURGE_ANSWERS = """
DELETE FROM idempotency_keys WHERE rowid IN (
  SELECT rowid FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT ?
) RETURNING 1
"""

_BLANK = f"""
UPDATE messages SET
  content = iif(from_user = ?1, '{ERASED_CONTENT}', content),
  from_user = iif(from_user = ?1, '{ERASED}', from_user),
  to_user = iif(to_user = ?1, '{ERASED}', to_user)
WHERE session_id = ?2 AND sequence IN (SELECT value FROM json_each(?3)) AND (from_user = ?1 OR to_user = ?1)
RETURNING 1
"""
_UNNAME = f"""
UPDATE sessions SET
  created_by = iif(created_by = ?1, '{ERASED}', created_by),
  student_ids = iif(instr(student_ids, '"{ERASED}"'),
    replace(replace(student_ids, '"' || ?1 || '",', ''), ',"' || ?1 || '"', ''),
    replace(student_ids, '"' || ?1 || '"', '"{ERASED}"'))
WHERE id = ?2 AND status = 'ended' AND (created_by = ?1 OR instr(student_ids, '"' || ?1 || '"'))
RETURNING 1
"""
_UNENROLL_USER = """
DELETE FROM enrollments
WHERE student_id = ?1 AND start_time = (SELECT start_time FROM sessions WHERE id = ?2) AND session_id = ?2
"""
_DROP_ANSWER = "DELETE FROM idempotency_keys WHERE scope = ? AND key = ? RETURNING 1"
_CHANGE_ANSWER = "UPDATE idempotency_keys SET answer = ? WHERE scope = ? AND key = ? AND answer = ? RETURNING 1"
_RECORD = """
INSERT INTO erasures (id, began_at, sessions, messages, answers) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET sessions = sessions + excluded.sessions,
  messages = messages + excluded.messages, answers = answers + excluded.answers
"""
_FINISH = "UPDATE erasures SET finished_at = ? WHERE id = ?"
_DROP_RATE = "DELETE FROM message_rates WHERE user_id = ?"

_CHECKPOINT_PAGES = 250  # a quarter of what the service waits for: a class must not wait for a long checkpoint
_LOG_ATTEMPTS = 20
_LOG_TIMEOUT = 5.0  # seconds to wait for the lock across processes
_LOG_BUSY_MS = 20  # that one attempt waits for readers; it holds the lock meanwhile


class SqliteRemovals:
    """See `shared.retention.Removals`."""

    def __init__(self, engine: SqliteEngine) -> None:
        engine.checkpoint_every(_CHECKPOINT_PAGES)
        self._engine = engine

    def purge(self, steps: list[PurgeStep]) -> Change[Purged]:
        """Delete sessions, or parts of them."""

        def run(connection: Connection, repeat: bool) -> Purged:
            _rows(connection, _OVERWRITE)
            sessions = messages = enrollments = 0
            for step in steps:
                match step:
                    case Cut():
                        messages += _rows(connection, _CUT, *step)
                    case Unenroll():
                        enrollments += _rows(connection, _UNENROLL, *step)
                    case Drop():
                        for statement in _DISCONNECT:
                            _rows(connection, statement, step.session_id)
                        sessions += _rows(connection, _DROP, step.session_id)
            if sessions:
                _rows(connection, _COUNT, sessions)
            return Purged(sessions, messages, enrollments)

        return Change(run)

    def purge_answers(self, oldest: str, limit: int) -> Change[int]:
        """Delete expired answers."""

        def run(connection: Connection, repeat: bool) -> int:
            _rows(connection, _OVERWRITE)
            return _rows(connection, _PURGE_ANSWERS, oldest, limit)

        return Change(run)

    def erase(self, erasure: Erasure, steps: list[EraseStep]) -> Change[Erased]:
        """Erase a user from these places."""
        user = erasure.user_id

        def run(connection: Connection, repeat: bool) -> Erased:
            _rows(connection, _OVERWRITE)
            sessions = messages = answers = 0
            for step in steps:
                match step:
                    case Blank():
                        numbers = f"[{','.join(map(str, step.sequences))}]"
                        messages += _rows(connection, _BLANK, user, step.session_id, numbers)
                    case Unname():
                        sessions += _rows(connection, _UNNAME, user, step.session_id)
                        _rows(connection, _UNENROLL_USER, user, step.session_id)
                    case DropAnswer():
                        answers += _rows(connection, _DROP_ANSWER, *step)
                    case ChangeAnswer():
                        answers += _rows(connection, _CHANGE_ANSWER, step.erased, step.scope, step.key, step.answer)
            erased = Erased(sessions, messages, answers)
            if any(erased):
                _rows(connection, _RECORD, erasure.id, erasure.began_at, *erased)
            return erased

        return Change(run)

    def finish(self, erasure: Erasure) -> Change[None]:
        """Complete the record."""

        def run(connection: Connection, repeat: bool) -> None:
            _rows(connection, _OVERWRITE)
            _rows(connection, _DROP_RATE, erasure.user_id)
            _rows(connection, _FINISH, clock.now(), erasure.id)

        return Change(run)

    def empty_log(self) -> bool:
        """Move the log into the file and cut it off, when no reader needs it at that moment."""
        dialect = self._engine.dialect
        for _ in range(_LOG_ATTEMPTS):
            with (
                suppress(DatabaseBusyError),
                self._engine.exclusive(clock.elapsed() + _LOG_TIMEOUT),
                dialect.connection_context(),
            ):
                dialect.execute_sql(f"PRAGMA busy_timeout = {_LOG_BUSY_MS}")
                busy, _pages, _moved = dialect.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if not busy:
                    return True
        return False


def _rows(connection: Connection, statement: str, *bindings: object) -> int:
    """How many rows the statement returned. Each is read: the commit needs statements that have ended."""
    return len(connection.execute(statement, bindings).fetchall())
