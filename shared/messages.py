"""MessageManager: who may send what to whom in a session, and who may read what of it."""

from collections.abc import Callable
from typing import Annotated, NamedTuple, Protocol

import msgspec

from shared import paging, rules
from shared.entities import STUDENT, HistoryPage, IdempotencyKey, Message, MessageDraft, Reader
from shared.errors import InvalidRecipientError, UnauthorizedError
from shared.sessions import SessionManager

_Sequence = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class MessageStore(Protocol):
    """What the manager needs of a database; `shared.database.DatabaseManager` is one."""

    def store_message(
        self, draft: MessageDraft, admit: Callable[[], None], key: IdempotencyKey | None = None
    ) -> Message: ...

    def get_session_history(
        self, session_id: str, student_id: str | None = None, after: int = 0, limit: int = 1000
    ) -> HistoryPage: ...


class MessagePage(NamedTuple):
    """One page of a history; `next_cursor` is None at the end."""

    messages: list[Message]
    next_cursor: str | None


class MessageManager:
    """Stores messages before they are routed, and reads them back. Safe for any number of threads."""

    def __init__(self, database: MessageStore, sessions: SessionManager) -> None:
        self._database = database
        self._sessions = sessions

    def store_message(self, draft: MessageDraft, role: str, key: IdempotencyKey | None = None) -> Message:
        """Keep a message of an active session, sent by somebody who may. Every check's error is the contract's.

        A roster never changes, so the one that is known here holds inside the transaction as well; that the session is
        active is asked there.
        """
        rules.check_message_type(draft.type)
        rules.check_context(draft.context)
        rules.check_content_size(bytes(draft.content))
        rules.check_user_id(draft.from_user)
        rules.check_role(role)
        rules.check_recipient_form(draft.type, draft.to_user)
        draft = msgspec.structs.replace(draft, session_id=rules.session_key(draft.session_id))
        students = self._sessions.roster(draft.session_id, must_be_active=False)

        def admit() -> None:
            if role == STUDENT and draft.from_user not in students:
                raise UnauthorizedError
            rules.check_sender(draft.type, role)
            if draft.to_user is not None and draft.to_user not in students:
                raise InvalidRecipientError

        return self._database.store_message(draft, admit, key)

    def session_history(
        self, session_id: str, reader: Reader | None = None, cursor: str | None = None, limit: int = 1000
    ) -> MessagePage:
        """A page of a session's messages, active or ended, in order; for a student what that student may see.

        Raises `InvalidUserIDError`, `InvalidRoleError`, `SessionNotFoundError`, `UnauthorizedError` (a student who is
        not in the session), `InvalidRequestError` (a cursor of another list).
        """
        if reader is not None:
            rules.check_user_id(reader.user_id)
            rules.check_role(reader.role)
        key = rules.session_key(session_id)
        query = ("messages", key, reader)
        after = paging.position(cursor, query, _Sequence) or 0
        students = self._sessions.roster(key, must_be_active=False)
        student_id = reader.user_id if reader is not None and reader.role == STUDENT else None
        if student_id is not None and student_id not in students:
            raise UnauthorizedError
        found = self._database.get_session_history(key, student_id, after, limit)
        return MessagePage(found.messages, paging.cursor(query, found.last) if found.more else None)
