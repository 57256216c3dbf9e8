"""What each write does inside its transaction: one module for each engine."""

import math
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from shared import clock
from shared.engines import Connection, Engine
from shared.entities import IdempotencyKey, Lease, Message, MessageDraft, Session
from shared.statements import Statements
from shared.writer import Write

if TYPE_CHECKING:
    from peewee import Database

RATE_WINDOW = timedelta(minutes=1)
"""How long a user's messages are counted, from the first one on. Then the count starts again."""

LEASE = timedelta(seconds=15)
"""How long a lease is valid without a renewal. Then somebody else may take it: its holder is dead."""

T = TypeVar("T")


def rate_windows() -> tuple[str, str]:
    """Between which two times, both excluded, a window began that counts now.

    It may have begun a little later than now: of two processes that write at once, the one that commits second may have
    read its clock first, and clocks of two machines differ.
    """
    return clock.ago(RATE_WINDOW), clock.ago(-RATE_WINDOW)


def seconds_left(window_start: str) -> int:
    """How many seconds a user must wait whose window began then; at least 1."""
    return max(1, math.ceil(RATE_WINDOW.total_seconds() - clock.seconds_since(window_start)))


class Change(NamedTuple, Generic[T]):
    """A write for the writer; `Writer.write` explains the fields."""

    run: Write[T]
    atomic: bool = False
    order: str = ""


class Writes(Protocol):
    """The writes of the service. Each first checks, then changes: when it raises an error, it has changed nothing."""

    def create(self, session: Session) -> Change[Session]:
        """Store a new session."""

    def end(self, session_id: str, lease: Lease | None = None) -> Change[Session]:
        """End a session. Of any number of concurrent calls exactly one succeeds.

        The end time is set in the transaction and is never before the last message or the start. `lease` is given as
        by `append`. Raises `SessionNotFoundError`, `SessionAlreadyEndedError`.
        """

    def append(self, draft: MessageDraft, authorize: Callable[[], None], lease: Lease | None = None) -> Change[Message]:
        """Append a message to an active session; its sequence and time are set here, in the order of the commits.

        `authorize` raises when the sender may not send this message. A caller that will deliver passes a `lease`: it is
        given when the session has connections and nobody delivers. Raises `SessionNotFoundError` and
        `SessionEndedError`, which come before any error of `authorize`.
        """

    def keep_answer(self, connection: Connection, key: IdempotencyKey, answer: str, oldest: str) -> None:
        """Store the answer under its key, in the transaction of the write that it answers.

        It replaces an answer of this key that is older than `oldest`. Some calls also delete other old answers.
        """

    def probe(self) -> Change[None]:
        """A write that leaves every row as it was; it fails when the database cannot be written."""


def classes_for(kind: str) -> tuple[Callable[["Database"], Statements], Callable[[Any, int], Writes]]:
    """Import the classes of an engine's statements and writes, by its kind."""
    if kind == "sqlite":
        from shared.writes.sqlite import SqliteStatements, SqliteWrites

        return SqliteStatements, SqliteWrites
    from shared.writes.postgresql import PostgresqlStatements, PostgresqlWrites

    return PostgresqlStatements, PostgresqlWrites


def writes_of(engine: Engine, message_limit: int = 0) -> tuple[Statements, Writes]:
    """The statements and writes for an engine."""
    statements_class, writes_class = classes_for(engine.kind)
    statements = statements_class(engine.dialect)
    return statements, writes_class(statements, message_limit)
