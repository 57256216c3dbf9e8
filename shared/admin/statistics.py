"""`stats`: how much data there is, and how old it is."""

from shared import clock
from shared.admin.databases import Database
from shared.admin.moments import days_ago
from shared.database import KEEP_ANSWERS
from shared.entities import ACTIVE

_AGES = (30, 90, 400)  # days since the end of a session

Statistics = dict[str, int | str | None]


def statistics(database: Database) -> Statistics:
    """The numbers, by their names; a time is None when there is nothing that has one."""
    reads = database.reads
    counts = dict.fromkeys(("active_sessions", "ended_sessions", "messages"), 0)
    older = {f"ended_before_{days}d": days_ago(days) for days in _AGES}
    ages = dict.fromkeys(older, 0)
    first_active: str | None = None
    first_end: str | None = None
    for session in reads.sessions():
        counts["messages"] += session.messages
        if session.status == ACTIVE:
            counts["active_sessions"] += 1
            first_active = first_active or session.start_time
            continue
        counts["ended_sessions"] += 1
        end = session.end_time or ""
        first_end = min(first_end or end, end)
        for name, before in older.items():
            ages[name] += end < before
    enrollments, answers, expired, message_counts, erasures = reads.numbers(clock.ago(KEEP_ANSWERS))
    return {
        **counts,
        **ages,
        "enrollments": enrollments,
        "kept_answers": answers,
        "expired_answers": expired,
        "message_counts": message_counts,
        "erasures": erasures,
        "database_bytes": reads.bytes(),
        "earliest_active_start": first_active,
        "earliest_end": first_end,
    }
