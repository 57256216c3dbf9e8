"""What the service is, in plain Python: sessions, messages and kept answers, one call at a time and no database.

Every method gives back what the managers must: the value, or `Refusal` with the name of their error. What the service
makes up by itself, the ids, is taken from its answer.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from msgspec.structs import replace

from shared.entities import IdempotencyKey, Message, MessageDraft, Reader, Session, SessionFilter

BY_STUDENTS: Final = ("instructor_inbox", "request_response", "analytics")
BY_INSTRUCTORS: Final = ("inbox_response", "request", "instructor_broadcast")
TO_ONE: Final = ("inbox_response", "request")
KEPT_FOR: Final = timedelta(hours=24)

T = TypeVar("T", Session, Message)


class Refusal(Exception):  # noqa: N818 - no error of the model's
    """The service must refuse this, with an error of this name and, where it has one, this end time."""


@dataclass
class Room:
    """A session and all that was said in it, in order."""

    session: Session
    messages: list[Message] = field(default_factory=list)

    @property
    def last_time(self) -> str:
        """The time of its last message, or its start: nothing later in it has an earlier time."""
        return self.messages[-1].timestamp if self.messages else self.session.start_time


class Model:
    """The whole service."""

    def __init__(self, start: datetime) -> None:
        self.clock = start
        self.rooms: dict[str, Room] = {}
        self._kept: dict[tuple[str, str], tuple[str, Session | Message, datetime]] = {}

    @property
    def now(self) -> str:
        """The wall clock as text."""
        return self.clock.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    # --- sessions

    def create(
        self,
        new_id: str,
        name: str,
        creator: str,
        students: list[str],
        key: IdempotencyKey | None,
    ) -> Session:
        """Open a session, or give again what was answered to the same key."""
        _require(0 < len(name) <= 200 and name.strip(), "InvalidSessionNameError")
        _require(_is_user(creator), "InvalidCreatedByError")
        _require(students, "EmptyStudentListError")
        _require(all(map(_is_user, students)), "InvalidStudentIDError")
        kept = self._answer_kept(key, Session)
        if kept is not None:
            return kept
        session = Session(new_id, name, creator, tuple(dict.fromkeys(students)), self.now)
        self.rooms[new_id] = Room(session)
        self._keep(key, session)
        return session

    def get(self, session_id: str) -> Session:
        """A session in its state of now."""
        return self._room(session_id).session

    def end(self, session_id: str) -> Session:
        """End it, once."""
        room = self._room(session_id)
        _require(room.session.end_time is None, "SessionAlreadyEndedError", room.session.end_time)
        room.session = replace(room.session, status="ended", end_time=max(self.now, room.last_time))
        return room.session

    def validate(self, session_id: str, user_id: str, role: str) -> None:
        """Whether this user may join."""
        _require(_is_user(user_id), "InvalidUserIDError")
        _require(role in ("student", "instructor"), "InvalidRoleError")
        room = self._room(session_id)
        _require(room.session.end_time is None, "SessionEndedError")
        _require(role == "instructor" or user_id in room.session.student_ids, "UnauthorizedError")

    def matching(self, wanted: SessionFilter) -> list[Session]:
        """All sessions that match, the newest start first, and the greatest id first of equal starts."""
        found = [room.session for room in self.rooms.values() if _matches(room.session, wanted)]
        return sorted(found, key=lambda session: (session.start_time, session.id), reverse=True)

    # --- messages

    def store(self, new_id: str, draft: MessageDraft, role: str, key: IdempotencyKey | None) -> Message:
        """Say something, or give again what was answered to the same key."""
        _require(draft.type in BY_STUDENTS + BY_INSTRUCTORS, "InvalidMessageTypeError")
        _require(_is_user(draft.from_user), "InvalidUserIDError")
        _require(role in ("student", "instructor"), "InvalidRoleError")
        _require((draft.type in TO_ONE) == (draft.to_user is not None), "InvalidRecipientError")
        room = self._room(draft.session_id)
        kept = self._answer_kept(key, Message)
        if kept is not None:
            return kept
        students = room.session.student_ids
        _require(room.session.end_time is None, "SessionEndedError")
        _require(role == "instructor" or draft.from_user in students, "UnauthorizedError")
        _require(draft.type in (BY_STUDENTS if role == "student" else BY_INSTRUCTORS), "UnauthorizedError")
        _require(draft.to_user is None or draft.to_user in students, "InvalidRecipientError")
        said = Message(
            id=new_id,
            session_id=room.session.id,
            type=draft.type,
            context=draft.context,
            from_user=draft.from_user,
            to_user=draft.to_user,
            content=draft.content,
            timestamp=max(self.now, room.last_time),
        )
        room.messages.append(said)
        self._keep(key, said)
        return said

    def history(self, session_id: str, reader: Reader | None) -> list[Message]:
        """What this reader may see, in order."""
        _require(reader is None or _is_user(reader.user_id), "InvalidUserIDError")
        _require(reader is None or reader.role in ("student", "instructor"), "InvalidRoleError")
        room = self._room(session_id)
        if reader is None or reader.role == "instructor":
            return room.messages
        student = reader.user_id
        _require(student in room.session.student_ids, "UnauthorizedError")
        return [message for message in room.messages if _is_for(message, student)]

    # --- what they share

    def _room(self, session_id: str) -> Room:
        _require(session_id.lower() in self.rooms, "SessionNotFoundError")
        return self.rooms[session_id.lower()]

    def _answer_kept(self, key: IdempotencyKey | None, kind: type[T]) -> T | None:
        if key is None or (key.scope, key.key) not in self._kept:
            return None
        fingerprint, answer, given = self._kept[key.scope, key.key]
        if given < self.clock - KEPT_FOR:
            return None
        _require(fingerprint == key.fingerprint, "IdempotencyKeyReusedError")
        assert isinstance(answer, kind)
        return answer

    def _keep(self, key: IdempotencyKey | None, answer: Session | Message) -> None:
        """Keep an answer and forget the old ones, which a clock that steps back does not bring back."""
        if key is not None:
            self._kept[key.scope, key.key] = (key.fingerprint, answer, self.clock)
            oldest = self.clock - KEPT_FOR
            self._kept = {place: kept for place, kept in self._kept.items() if kept[2] >= oldest}


def _require(condition: object, error: str, *details: object) -> None:
    if not condition:
        raise Refusal(error, *details)


def _is_user(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_-]{1,50}", text) is not None


def _matches(session: Session, wanted: SessionFilter) -> bool:
    return (
        wanted.status in (None, session.status)
        and wanted.created_by in (None, session.created_by)
        and (wanted.student_id is None or wanted.student_id in session.student_ids)
    )


def _is_for(message: Message, student: str) -> bool:
    sent = message.from_user == student and message.type in BY_STUDENTS
    return sent or message.to_user == student or message.type == "instructor_broadcast"
