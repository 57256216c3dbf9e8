"""Checks the tables of a database directly, after all processes have ended."""

import time

from tests.storage import ADMINISTRATOR, POSTGRESQL, SQLITE, Storage

_Rules = dict[str, str]

_CLIENTS = (
    "SELECT pid, state, query FROM pg_stat_activity"
    f" WHERE datname = current_database() AND backend_type = 'client backend' AND application_name <> '{ADMINISTRATOR}'"
)
_SHOWN = 3  # rows that are shown for each fault
_TIMEOUT = 60.0  # seconds in which the server must notice that a client has died

_OF_BOTH: _Rules = {
    "sequences have gaps": (
        "SELECT session_id, count(*), max(sequence) FROM messages GROUP BY session_id"
        " HAVING min(sequence) <> 1 OR max(sequence) <> count(*)"
    ),
    "a message's time is before that of the one before it": (
        "SELECT later.session_id, later.sequence FROM messages AS later JOIN messages AS earlier"
        " ON earlier.session_id = later.session_id AND earlier.sequence = later.sequence - 1"
        " WHERE later.timestamp < earlier.timestamp"
    ),
    "an id is used twice": "SELECT id, count(*) FROM messages GROUP BY id HAVING count(*) > 1",
    "a message has no session": (
        "SELECT id, session_id FROM messages WHERE session_id NOT IN (SELECT id FROM sessions)"
    ),
    "a session is half ended": (
        "SELECT id, status, end_time FROM sessions"
        " WHERE (status = 'ended') <> (end_time IS NOT NULL) OR end_time < start_time"
    ),
    "a session ended before its last message": (
        "SELECT session_id, max(timestamp), end_time FROM messages JOIN sessions ON sessions.id = session_id"
        " WHERE timestamp > end_time GROUP BY session_id, end_time"
    ),
    "an enrollment is not on its session's roster": (
        "SELECT student_id, session_id FROM enrollments WHERE (student_id, session_id, start_time)"
        " NOT IN (SELECT student, id, start_time FROM rosters)"
    ),
    "a student of a roster is not enrolled": (
        "SELECT student, id FROM rosters WHERE student <> 'erased' AND (student, id, start_time)"
        " NOT IN (SELECT student_id, session_id, start_time FROM enrollments)"
    ),
    "a kept answer tells of what is not there": (
        "SELECT scope, key, id FROM answers WHERE id NOT IN (SELECT id FROM sessions UNION SELECT id FROM messages)"
    ),
    "two kept answers tell of the same": "SELECT id, count(*) FROM answers GROUP BY id HAVING count(*) > 1",
    "a count is not the number of sessions": (
        "SELECT counted.status, counted.sessions FROM counted WHERE counted.sessions <>"
        " (SELECT count(*) FROM sessions WHERE sessions.status = counted.status)"
    ),
}

_OF_SQLITE: _Rules = {
    "the file is damaged": "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    "a reference leads nowhere": "SELECT * FROM pragma_foreign_key_check",
}

_OF_POSTGRESQL: _Rules = {
    "a session has no head, or a head no session": (
        "SELECT id, session_id FROM sessions FULL JOIN session_heads ON id = session_id"
        " WHERE id IS NULL OR session_id IS NULL"
    ),
    "a head is not its session's": (
        "SELECT id, sessions.status, session_heads.status FROM sessions JOIN session_heads ON id = session_id"
        " WHERE sessions.status <> session_heads.status"
    ),
    "a head is not at its last message": (
        "SELECT id, head.sequence, last.sequence FROM sessions JOIN session_heads AS head ON id = head.session_id"
        " LEFT JOIN (SELECT session_id, max(sequence) AS sequence, max(timestamp) AS timestamp"
        "   FROM messages GROUP BY session_id) AS last ON last.session_id = id"
        " WHERE head.sequence <> coalesce(last.sequence, 0) OR head.timestamp <> coalesce(last.timestamp, start_time)"
    ),
    "a connection outlived its client, and perhaps its locks": _CLIENTS,
    "a transaction was left prepared": "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()",
}

_VIEWS_OF_SQLITE: _Rules = {
    "rosters": "SELECT value AS student, sessions.id, start_time FROM sessions, json_each(student_ids)",
    "answers": "SELECT scope, key, json_extract(answer, '$.id') AS id FROM idempotency_keys",
    "counted": "SELECT status, sessions FROM session_counts",
}
_VIEWS_OF_POSTGRESQL: _Rules = {
    "rosters": "SELECT json_array_elements_text(student_ids::json) AS student, id, start_time FROM sessions",
    "answers": "SELECT scope, key, (answer::json->>'id')::uuid AS id FROM idempotency_keys",
    "counted": (
        "SELECT 'active' AS status, coalesce(sum(active), 0) AS sessions FROM session_counts"
        " UNION ALL SELECT 'ended', coalesce(sum(ended), 0) FROM session_counts"
    ),
}


def _over(views: _Rules) -> _Rules:
    common = "WITH " + ", ".join(f"{name} AS ({query})" for name, query in views.items())
    return {rule: f"{common} {query}" for rule, query in _OF_BOTH.items()}


RULES = {SQLITE: _OF_SQLITE | _over(_VIEWS_OF_SQLITE), POSTGRESQL: _OF_POSTGRESQL | _over(_VIEWS_OF_POSTGRESQL)}
"""Engine -> fault -> a query that returns the rows with this fault."""


def damage(storage: Storage) -> list[str]:
    """The faults of a database that no process uses any more; empty when there are none."""
    if storage.kind == POSTGRESQL:
        _wait_for_the_last_client(storage)
    rules = RULES[storage.kind]
    found = zip(rules, storage.ask(list(rules.values())), strict=True)
    return [f"{rule}: {len(rows)} times, such as {rows[:_SHOWN]}" for rule, rows in found if rows]


def _wait_for_the_last_client(storage: Storage) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while storage.ask([_CLIENTS]) != [[]] and time.monotonic() < deadline:
        time.sleep(0.01)
