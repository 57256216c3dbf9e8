"""The SQL of the life of data: what an export, a purge, an erasure and a report read and write.

- `reads`: the pages that these commands read, on both engines.
- `sqlite`, `postgresql`: what a purge and an erasure do inside a transaction of the single writer.

A purge and an erasure change ended sessions only. An ended session never changes otherwise, so what they read of it
before the transaction is still right inside. Each step may run again: it changes only what is left to change. No
module that serves requests imports this package.
"""

from typing import NamedTuple, Protocol

from shared.engines import Engine
from shared.writes import Change

ERASED_CONTENT = '{"erased":true}'
"""The content of an erased message."""


class Cut(NamedTuple):
    """A step of a purge: delete the messages of a session after the sequence `keep`."""

    session_id: str
    keep: int


class Unenroll(NamedTuple):
    """A step of a purge: delete the enrollments of the students at these places of the roster, both included."""

    session_id: str
    first: int
    last: int


class Drop(NamedTuple):
    """A step of a purge: delete a session without messages and enrollments, and count it no more."""

    session_id: str


class Blank(NamedTuple):
    """A step of an erasure: erase the user from these messages of a session."""

    session_id: str
    sequences: tuple[int, ...]


class Unname(NamedTuple):
    """A step of an erasure: erase the user from a session, its roster and its enrollments."""

    session_id: str


class DropAnswer(NamedTuple):
    """A step of an erasure: delete a kept answer to a call of the user."""

    scope: str
    key: str


class ChangeAnswer(NamedTuple):
    """A step of an erasure: replace a kept answer that names the user, if it is still the same."""

    scope: str
    key: str
    answer: str
    erased: str


PurgeStep = Cut | Unenroll | Drop
EraseStep = Blank | Unname | DropAnswer | ChangeAnswer


class Purged(NamedTuple):
    """How many rows a purge deleted."""

    sessions: int = 0
    messages: int = 0
    enrollments: int = 0
    answers: int = 0


class Erased(NamedTuple):
    """In how many sessions, messages and kept answers an erasure changed something."""

    sessions: int = 0
    messages: int = 0
    answers: int = 0


class Erasure(NamedTuple):
    """An erasure that runs: the id of its record, when it began, and whose data it erases."""

    id: str
    began_at: str
    user_id: str


class Removals(Protocol):
    """The writes of a purge and of an erasure. After a repeat (an unknown outcome) the counts may be too low."""

    def purge(self, steps: list[PurgeStep]) -> Change[Purged]:
        """Run these steps in one transaction."""

    def purge_answers(self, oldest: str, limit: int) -> Change[int]:
        """Delete up to `limit` kept answers that are older, the oldest first; returns how many."""

    def erase(self, erasure: Erasure, steps: list[EraseStep]) -> Change[Erased]:
        """Run these steps in one transaction, which also adds what they changed to the erasure's record."""

    def finish(self, erasure: Erasure) -> Change[None]:
        """Delete the user's message count, and write into the record, if there is one, that the erasure is complete."""

    def empty_log(self) -> bool:
        """Whether no log has older copies of what was deleted; tried without making a write wait for long."""


def removals_of(engine: Engine) -> Removals:
    """The writes for an engine."""
    from shared.engines.sqlite.engine import SqliteEngine

    if isinstance(engine, SqliteEngine):
        from shared.retention.sqlite import SqliteRemovals

        return SqliteRemovals(engine)
    from shared.retention.postgresql import PostgresqlRemovals

    return PostgresqlRemovals()
