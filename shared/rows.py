"""Database rows to entities and back. The columns are in the order of `shared.statements`."""

import msgspec

from shared.engines import Row
from shared.entities import ENDED, Message, MessageDraft, Session

_students = msgspec.json.Decoder(tuple[str, ...])


def json_text(value: object) -> str:
    """A value as compact JSON."""
    return msgspec.json.encode(value).decode()


def session_of(row: Row) -> Session:
    """The session of a row of `SESSION_COLUMNS`."""
    session_id, name, created_by, student_ids, start_time, end_time, status = row
    return Session(session_id, name, created_by, _students.decode(student_ids), start_time, end_time, status)


def ended(session: Session, end_time: str) -> Session:
    """The session as it is after its end."""
    return msgspec.structs.replace(session, end_time=end_time, status=ENDED)


def message_of(message_id: str, draft: MessageDraft, timestamp: str) -> Message:
    """The message made from a draft."""
    return Message(
        message_id,
        draft.session_id,
        draft.type,
        draft.context,
        draft.from_user,
        draft.to_user,
        draft.content,
        timestamp,
    )


def message_row(message: Message, sequence: int) -> Row:
    """The row of a message, with the columns in the table's order."""
    return (
        message.session_id,
        sequence,
        message.id,
        message.type,
        message.context,
        message.from_user,
        message.to_user,
        message.timestamp,
        bytes(message.content).decode(),
    )
