"""What each write does inside its transaction, in the manner that the engine likes: one module an engine."""

from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from shared.engines import Connection, Engine
from shared.entities import IdempotencyKey, Message, MessageDraft, Session
from shared.statements import Statements
from shared.writer import Write

T = TypeVar("T")


class Change(NamedTuple, Generic[T]):
    """A write on its way to the writer; see `Writer.write` for what the fields promise."""

    run: Write[T]
    atomic: bool = False
    order: str = ""


class Writes(Protocol):
    """The writes of the service. Each checks first and changes then: what it raises itself, it raises unwritten."""

    def create(self, session: Session) -> Change[Session]:
        """Store a new session."""

    def end(self, session_id: str) -> Change[Session]:
        """End a session: of any number of calls at once, one does it.

        The end time is given here, and is never before the start. Raises `SessionNotFoundError`,
        `SessionAlreadyEndedError`.
        """

    def append(self, draft: MessageDraft, admit: Callable[[], None]) -> Change[Message]:
        """Append a message to an active session; its order and time are given here, in the order of commits.

        `admit` raises when the sender may not send this; it counts once the session is known to be active.
        Raises `SessionNotFoundError`, `SessionEndedError`.
        """

    def keep(self, connection: Connection, key: IdempotencyKey, answer: str, oldest: str) -> None:
        """Keep the answer of the write that this transaction makes, in the place of one that is older than `oldest`.

        Now and then it removes some of those.
        """

    def touch(self) -> Change[None]:
        """Write, and change nothing."""


def writes_of(engine: Engine) -> tuple[Statements, Writes]:
    """The statements and writes for an engine."""
    if engine.kind == "sqlite":
        from shared.writes.sqlite import SqliteStatements, SqliteWrites

        statements = SqliteStatements(engine.dialect)
        return statements, SqliteWrites(statements)
    from shared.writes.postgresql import PostgresqlStatements, PostgresqlWrites

    others = PostgresqlStatements(engine.dialect)
    return others, PostgresqlWrites(others)
