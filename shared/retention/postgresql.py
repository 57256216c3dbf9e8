"""Purging and erasing on PostgreSQL. The statements of a batch are sent together, so their locks last one round trip.

Only the rows of ended sessions are locked, which no write of a class needs, and one slot of `session_counts`, last.
"""

import random
from collections.abc import Mapping

from shared import clock
from shared.engines import Connection, Cursor
from shared.entities import ERASED
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
from shared.writer import Deferred
from shared.writes import Change
from shared.writes.postgresql import SLOTS

_CUT = """
WITH cut AS (
  DELETE FROM messages WHERE session_id = %(session_id)s AND sequence > %(keep)s RETURNING 1
), head AS (
  UPDATE session_heads SET sequence = %(keep)s, timestamp = coalesce(
    (SELECT timestamp FROM messages WHERE session_id = %(session_id)s AND sequence = %(keep)s),
    (SELECT start_time FROM sessions WHERE id = %(session_id)s)
  ) WHERE session_id = %(session_id)s AND status = 'ended' AND sequence > %(keep)s
)
SELECT 1 FROM cut
"""
_UNENROLL = """
DELETE FROM enrollments USING (
  SELECT roster.student, sessions.start_time, sessions.id
  FROM sessions, json_array_elements_text(student_ids::json) WITH ORDINALITY AS roster(student, place)
  WHERE sessions.id = %(session_id)s AND place - 1 BETWEEN %(first)s AND %(last)s
) AS gone
WHERE student_id = gone.student AND enrollments.start_time = gone.start_time AND session_id = gone.id
RETURNING 1
"""
_DROP = """
WITH gone AS (
  DELETE FROM sessions WHERE id = ANY (string_to_array(%(ids)s, ',')::uuid[]) AND status = 'ended' RETURNING id
), heads AS (
  DELETE FROM session_heads USING gone WHERE session_id = gone.id
), disconnected AS (
  DELETE FROM connections USING gone WHERE session_id = gone.id
), counted AS (
  INSERT INTO session_counts (slot, active, ended)
  SELECT %(slot)s::integer, 0, -count(*) FROM gone HAVING count(*) > 0
  ON CONFLICT (slot) DO UPDATE SET ended = session_counts.ended + excluded.ended
)
SELECT 1 FROM gone
"""
_PURGE_ANSWERS = """
DELETE FROM idempotency_keys WHERE (scope, key) IN (
  SELECT scope, key FROM idempotency_keys WHERE created_at < %s ORDER BY created_at LIMIT %s
) RETURNING 1
"""

# The record counts what the statement itself has changed: so a statement that is repeated counts nothing twice.
_RECORDED = """
, recorded AS (
  INSERT INTO erasures (id, began_at, sessions, messages, answers)
  SELECT %(id)s::uuid, %(began_at)s::timestamptz, {sessions}, {messages}, {answers} FROM changed HAVING count(*) > 0
  ON CONFLICT (id) DO UPDATE SET sessions = erasures.sessions + excluded.sessions,
    messages = erasures.messages + excluded.messages, answers = erasures.answers + excluded.answers
)
SELECT 1 FROM changed
"""


def _recorded(what: str) -> str:
    return _RECORDED.format(**{"sessions": "0", "messages": "0", "answers": "0"} | {what: "count(*)"})


_BLANK = f"""
WITH changed AS (
  UPDATE messages SET
    content = CASE WHEN from_user = %(user_id)s THEN '{ERASED_CONTENT}' ELSE content END,
    from_user = CASE WHEN from_user = %(user_id)s THEN '{ERASED}' ELSE from_user END,
    to_user = CASE WHEN to_user = %(user_id)s THEN '{ERASED}' ELSE to_user END
  WHERE session_id = %(session_id)s AND sequence = ANY (string_to_array(%(sequences)s, ',')::bigint[])
    AND (from_user = %(user_id)s OR to_user = %(user_id)s)
  RETURNING 1
)""" + _recorded("messages")
_UNNAME = f"""
WITH changed AS (
  UPDATE sessions SET
    created_by = CASE WHEN created_by = %(user_id)s THEN '{ERASED}' ELSE created_by END,
    student_ids = CASE WHEN strpos(student_ids, '"{ERASED}"') > 0
      THEN replace(replace(student_ids, '"' || %(user_id)s || '",', ''), ',"' || %(user_id)s || '"', '')
      ELSE replace(student_ids, '"' || %(user_id)s || '"', '"{ERASED}"') END
  WHERE id = %(session_id)s AND status = 'ended'
    AND (created_by = %(user_id)s OR strpos(student_ids, '"' || %(user_id)s || '"') > 0)
  RETURNING sessions.id, sessions.start_time
), unenrolled AS (
  DELETE FROM enrollments USING changed
  WHERE student_id = %(user_id)s AND enrollments.start_time = changed.start_time AND session_id = changed.id
)""" + _recorded("sessions")
_DROP_ANSWER = """
WITH changed AS (
  DELETE FROM idempotency_keys WHERE scope = %(scope)s AND key = %(key)s RETURNING 1
)""" + _recorded("answers")
_CHANGE_ANSWER = """
WITH changed AS (
  UPDATE idempotency_keys SET answer = %(erased)s
  WHERE scope = %(scope)s AND key = %(key)s AND answer = %(answer)s RETURNING 1
)""" + _recorded("answers")
_FINISH = "UPDATE erasures SET finished_at = %s WHERE id = %s"
_DROP_RATE = "DELETE FROM message_rates WHERE user_id = %s"


class PostgresqlRemovals:
    """See `shared.retention.Removals`."""

    def __init__(self) -> None:
        self._slot = random.randrange(SLOTS)  # noqa: S311

    def purge(self, steps: list[PurgeStep]) -> Change[Purged]:
        """Delete sessions, or parts of them."""

        def run(connection: Connection, repeat: bool) -> Deferred[Purged]:
            messages, enrollments = list[Cursor](), list[Cursor]()
            dropped = list[str]()
            for step in steps:
                match step:
                    case Cut():
                        messages.append(connection.execute(_CUT, step._asdict()))
                    case Unenroll():
                        enrollments.append(connection.execute(_UNENROLL, step._asdict()))
                    case Drop():
                        dropped.append(step.session_id)
            sessions = [connection.execute(_DROP, {"ids": ",".join(dropped), "slot": self._slot})] if dropped else []
            return Deferred(lambda: Purged(_rows(sessions), _rows(messages), _rows(enrollments)))

        return Change(run)

    def purge_answers(self, oldest: str, limit: int) -> Change[int]:
        """Delete expired answers."""

        def run(connection: Connection, repeat: bool) -> Deferred[int]:
            deleted = connection.execute(_PURGE_ANSWERS, (oldest, limit))
            return Deferred(lambda: _rows([deleted]))

        return Change(run)

    def erase(self, erasure: Erasure, steps: list[EraseStep]) -> Change[Erased]:
        """Erase a user from these places."""

        def run(connection: Connection, repeat: bool) -> Deferred[Erased]:
            sessions, messages, answers = list[Cursor](), list[Cursor](), list[Cursor]()
            for step in steps:
                values: Mapping[str, object] = erasure._asdict() | step._asdict()
                match step:
                    case Blank():
                        numbers = {"sequences": ",".join(map(str, step.sequences))}
                        messages.append(connection.execute(_BLANK, {**values, **numbers}))
                    case Unname():
                        sessions.append(connection.execute(_UNNAME, values))
                    case DropAnswer():
                        answers.append(connection.execute(_DROP_ANSWER, values))
                    case ChangeAnswer():
                        answers.append(connection.execute(_CHANGE_ANSWER, values))
            return Deferred(lambda: Erased(_rows(sessions), _rows(messages), _rows(answers)))

        return Change(run)

    def finish(self, erasure: Erasure) -> Change[None]:
        """Complete the record."""

        def run(connection: Connection, repeat: bool) -> None:
            connection.execute(_DROP_RATE, (erasure.user_id,))
            connection.execute(_FINISH, (clock.now(), erasure.id))

        return Change(run)

    def empty_log(self) -> bool:
        """True: the server keeps its log by its own settings."""
        return True


def _rows(cursors: list[Cursor]) -> int:
    """How many rows these statements returned."""
    return sum(len(cursor.fetchall()) for cursor in cursors)
