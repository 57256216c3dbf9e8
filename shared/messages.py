"""MessageManager: the rules for sending and reading the messages of a session."""

from collections.abc import Callable
from typing import Annotated, NamedTuple, Protocol

import msgspec

from shared import paging, rules
from shared.entities import STUDENT, HistoryPage, IdempotencyKey, Lease, Message, MessageDraft, Reader
from shared.errors import InvalidRecipientError, SessionEndedError, UnauthorizedError
from shared.sessions import SessionManager

_Sequence = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class MessageStore(Protocol):
    """The part of `shared.database.DatabaseManager` that the manager uses."""

    def store_message(
        self,
        draft: MessageDraft,
        authorize: Callable[[], None],
        key: IdempotencyKey | None = None,
        lease: Lease | None = None,
    ) -> Message: ...

    def get_session_history(
        self, session_id: str, student_id: str | None = None, after: int = 0, limit: int = 1000
    ) -> HistoryPage: ...


class MessagePage(NamedTuple):
    """One page of a history; `next_cursor` is None at the end."""

    messages: list[Message]
    next_cursor: str | None


class MessageManager:
    """Stores messages and reads them back. Any number of threads may use it."""

    def __init__(
        self, database: MessageStore, sessions: SessionManager, stored: Callable[[Lease], None] | None = None
    ) -> None:
        """`stored` is called after a message has been committed, when the caller got the lease of its session's
        delivery. It must not raise.
        """
        self._database = database
        self._sessions = sessions
        self._stored = stored

    def store_message(self, draft: MessageDraft, role: str, key: IdempotencyKey | None = None) -> Message:
        """Store a message in an active session, if the sender may send it. Raises the errors of `shared.rules`,
        `UnauthorizedError`, `InvalidRecipientError`, `SessionNotFoundError` and `SessionEndedError`.

        A roster never changes, so a cached one is also right inside the transaction. Whether the session is active is
        checked inside the transaction.
        """
        rules.check_message_type(draft.type)
        rules.check_context(draft.context)
        rules.check_content(bytes(draft.content))
        rules.check_user_id(draft.from_user)
        rules.check_role(role)
        rules.check_recipient_form(draft.type, draft.to_user)
        draft = msgspec.structs.replace(draft, session_id=rules.session_key(draft.session_id))
        students = self._sessions.roster(draft.session_id, must_be_active=False)

        def authorize() -> None:
            if role == STUDENT and draft.from_user not in students:
                raise UnauthorizedError
            rules.check_sender(draft.type, role)
            if draft.to_user is not None and draft.to_user not in students:
                raise InvalidRecipientError

        lease = None if self._stored is None else Lease(draft.session_id)
        try:
            message = self._database.store_message(draft, authorize, key, lease)
        except SessionEndedError:
            self._sessions.saw_end(draft.session_id)
            raise
        if lease is not None and lease.token and self._stored is not None:
            self._stored(lease)
        return message

    def session_history(
        self, session_id: str, reader: Reader | None = None, cursor: str | None = None, limit: int = 1000
    ) -> MessagePage:
        """A page of the messages of an active or ended session, in order; for a student, those the student may read.

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
