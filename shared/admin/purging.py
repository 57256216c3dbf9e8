"""`purge`: delete the sessions that ended before a time, with their messages, enrollments and kept answers.

A session's messages are deleted from the last to the first, then its enrollments, then the session itself. So what is
there after a kill is a smaller session, and the next purge goes on with it. Until then a history that is read may lack
its end. A session that is gone is `session_not_found`.

Kept answers (of calls with an `Idempotency-Key`) are valid for a day and were given before their session ended. A purge
deletes all that have expired. So a purge takes no session that ended less than a day ago: none of its answers is left.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from shared import clock
from shared.admin.batches import PAGE, Batches, Pace
from shared.admin.databases import Database
from shared.cli.databases import RefusedError
from shared.database import KEEP_ANSWERS
from shared.retention import Cut, Drop, Purged, PurgeStep, Unenroll
from shared.retention.reads import Summary

MESSAGE_BYTES = 300  # of a message without its content, with its entries in indexes
_SESSION_BYTES = 6 * PAGE
_ANSWER_BYTES = 2 * PAGE
_CLASS = 100  # students

Moved = Callable[[int], object]


class Survey(NamedTuple):
    """How much a purge would delete. Erased students are counted, although they have no enrollment any more."""

    sessions: int = 0
    messages: int = 0
    enrollments: int = 0

    @property
    def rows(self) -> int:
        """All of it."""
        return sum(self)


def check_before(before: str, named: str) -> None:
    """Raises `RefusedError` for a time that is less than a day ago."""
    if before > clock.ago(KEEP_ANSWERS):
        raise RefusedError(f"{named}: must be at least a day ago: repeated calls get their kept answers for a day")


def survey(database: Database, before: str) -> Survey:
    """Count what a purge would delete."""
    sessions = messages = enrollments = 0
    for session in database.reads.sessions(before):
        sessions += 1
        messages += session.messages
        enrollments += session.students
    return Survey(sessions, messages, enrollments)


def purge(database: Database, before: str, moved: Moved, until: float = float("inf")) -> tuple[Purged, bool]:
    """Delete what ended before `before`, until `clock.elapsed()` passes `until`.

    Returns what was deleted, and whether nothing is left. `moved` is called with the number of rows of each batch.
    """
    return _Purge(database, moved).run(before, until)


class _Purge:
    def __init__(self, database: Database, moved: Moved) -> None:
        self._reads = database.reads
        self._removals = database.removals
        self._pace = Pace(database.writer)
        self._batches = Batches[PurgeStep](self._pace, self._write)
        self._moved = moved
        self._purged = Purged()

    def run(self, before: str, until: float) -> tuple[Purged, bool]:
        complete = self._expired_answers(until) and self._sessions(before, until)
        self._batches.flush()
        return self._purged, complete

    def _expired_answers(self, until: float) -> bool:
        oldest = clock.ago(KEEP_ANSWERS)
        while number := self._reads.expired_answers(oldest, self._pace.size, _ANSWER_BYTES):
            if clock.elapsed() >= until:
                return False
            answers = self._pace.write(self._removals.purge_answers(oldest, number))
            self._purged = self._purged._replace(answers=self._purged.answers + answers)
        return True

    def _sessions(self, before: str, until: float) -> bool:
        for session in self._reads.sessions(before):
            for step, size in self._steps(session):
                if clock.elapsed() >= until:
                    return False
                self._batches.add(step, size)
        return True

    def _steps(self, session: Summary) -> Iterator[tuple[PurgeStep, int]]:
        """What deletes a session, in steps that fit into a batch, with their sizes."""
        left = session.messages
        while left:
            keep, size = self._reads.cut(session.id, left, self._batches.room(), MESSAGE_BYTES)
            yield Cut(session.id, keep), size
            left = keep
        yield from self._unenroll(session)
        yield Drop(session.id), _SESSION_BYTES

    def _unenroll(self, session: Summary) -> Iterator[tuple[PurgeStep, int]]:
        """The enrollments of a class go in the transaction of its session; only those of more students go before."""
        left = session.students
        while (
            left > _CLASS
        ):  # from the last place on: an erasure at the same time may only move students to lower places
            number = min(left, max(1, self._batches.room() // PAGE))
            yield Unenroll(session.id, left - number, left - 1), number * PAGE
            left -= number
        if left:
            self._batches.make_room(left * PAGE + _SESSION_BYTES)
            yield Unenroll(session.id, 0, left - 1), 0

    def _write(self, steps: list[PurgeStep]) -> None:
        purged = self._pace.write(self._removals.purge(steps))
        self._purged = Purged(*map(sum, zip(self._purged, purged, strict=True)))
        self._moved(sum(purged))


def deleted(purged: Purged) -> str:
    """What was deleted, for people."""
    return (
        f"{purged.sessions:,} sessions, {purged.messages:,} messages, {purged.enrollments:,} enrollments,"
        f" {purged.answers:,} expired answers"
    )
