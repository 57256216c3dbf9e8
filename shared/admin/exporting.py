"""`export`: sessions with their messages, in bounded memory. The messages of an active session: those of its start."""

from collections.abc import Callable, Iterable

from shared.admin.databases import Database
from shared.admin.formats import Format
from shared.cli.databases import RefusedError
from shared.entities import Session
from shared.identifiers import canonical

Chosen = Iterable[tuple[Session, int]]
"""Sessions, each with the sequence of its last message that is exported."""


def one_session(database: Database, session_id: str) -> tuple[Session, int]:
    """A session by its id. Raises `RefusedError` when there is none."""
    key = canonical(session_id)
    found = database.reads.whole_session(key) if key is not None else None
    if found is None:
        raise RefusedError(f"there is no session {session_id[:60]!a}")
    return found


def export(
    database: Database,
    chosen: Chosen,
    format_: Format,
    write: Callable[[bytes], object],
    moved: Callable[[int], object],
) -> tuple[int, int]:
    """Write the sessions; returns how many there were, and how many messages.

    Raises `RefusedError` when a purge deletes a session that has begun.
    """
    sessions = messages = 0
    write(format_.header())
    for session, last in chosen:
        write(format_.session(session))
        written = 0
        for page in database.reads.messages(session.id, last):
            write(b"".join([format_.message(session.id, row) for row in page]))
            written += len(page)
            moved(len(page))
        if written != last:
            raise RefusedError(f"session {session.id} was purged during the export: run it again")
        sessions += 1
        messages += written
    return sessions, messages
