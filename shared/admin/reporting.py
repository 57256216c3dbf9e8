"""`report-user`: what is held about a person, as NDJSON lines.

- `{"session": …, "created": …, "enrolled": …}`: a session that the user created or is on the roster of. The roster is
  left out: it is about others.
- `{"sequence": …, "message": …}`: a message that the user sent, or that was sent to the user alone.
- `{"kept_answer": …}`: an answer that is kept for repeated calls. What it answers is in the lines above.
- `{"message_count": …}`: how many messages the user sent in the last minute with one, where a limit is set.
- `{"connection": …}`: a connection of the user, which ends with the session, or after two hours.

Broadcasts to a class and messages that only mention the user are not in it.
"""

from collections import Counter
from collections.abc import Callable
from itertools import islice

import msgspec

from shared.admin.databases import Database
from shared.admin.erasing import decoded, names, session_of_answer
from shared.admin.formats import message_of_row
from shared.cli.output import Write
from shared.entities import INSTRUCTOR, STUDENT
from shared.retention.reads import Part

_CHUNK = 64  # sessions

_encode = msgspec.json.Encoder().encode


def report(database: Database, user_id: str, write: Write, moved: Callable[[int], object]) -> Counter[str]:
    """Write the lines; returns how many of each kind. `moved` is called with numbers of sessions that were searched."""
    counts = Counter[str]()

    def line(kind: str, value: object) -> None:
        counts[kind] += 1
        write(_encode(value) + b"\n")

    reads = database.reads
    parts = reads.sessions_with(user_id)
    while chunk := list(islice(parts, _CHUNK)):
        for part in chunk:
            if part.created or part.enrolled:
                line("sessions", _session(part))
        for found in reads.messages_of(user_id, (part.session for part in chunk), whole=True):
            for held in found:
                message = message_of_row(held.session_id, held.rest)
                kind = "sent messages" if message.from_user == user_id else "received messages"
                line(kind, {"sequence": held.sequence, "message": message})
        moved(len(chunk))
    own = (f" {STUDENT} {user_id}", f" {INSTRUCTOR} {user_id}")
    for kept in reads.answers():
        if user_id in kept.answer or kept.scope.endswith(own):
            answer = decoded(kept)
            if kept.scope.endswith(own) or names(answer, user_id):
                about = {"scope": kept.scope, "key": kept.key, "created_at": kept.created_at}
                line("kept answers", {"kept_answer": about | {"session_id": session_of_answer(answer)}})
    rate = reads.rate(user_id)
    if rate is not None:
        line("message counts", {"message_count": {"window_start": rate[0], "sent": rate[1]}})
    for session_id, role, connected_at, state in reads.connections(user_id):
        about = {"session_id": session_id, "role": role, "connected_at": connected_at, "state": state}
        line("connections", {"connection": about})
    return counts


def _session(part: Part) -> dict[str, object]:
    session = part.session
    about = {"id": session.id, "start_time": session.start_time, "end_time": session.end_time, "status": session.status}
    return {"session": about, "created": part.created, "enrolled": part.enrolled}
