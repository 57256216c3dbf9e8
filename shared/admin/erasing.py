"""`erase-user`: erase a person from every ended session. This is the only change of what otherwise never changes.

- The user becomes `erased` as a creator, on rosters, as the sender and the recipient of messages. The content of
  messages that the user sent becomes `{"erased": true}`. The enrollments and the message count are deleted. Of kept
  answers the user's own are deleted, in others the user becomes `erased`.
- Two erased students of one session are one entry of its roster: a roster has nobody twice.
- What others wrote stays, also where it mentions the user: only people can judge that. So do names of sessions.
- Active sessions are left: execution environments keep their rosters, which must not change, and the user could write
  more. The command counts them; end them and run it again.
- Every batch adds to a row of `erasures` in its own transaction. The row does not have the user.
- Each session is searched for messages, then its roster is changed. After a kill, the next run finds what is left.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from typing import NamedTuple

import msgspec

from shared import clock
from shared.admin.batches import PAGE, Batches, Pace
from shared.admin.databases import Database
from shared.admin.purging import MESSAGE_BYTES
from shared.entities import ACTIVE, ERASED, INSTRUCTOR, STUDENT, Message, Session
from shared.identifiers import new_id
from shared.retention import Blank, ChangeAnswer, DropAnswer, Erased, EraseStep, Erasure, Unname
from shared.retention.reads import KeptAnswer, Part, Summary
from shared.rows import json_text

_CHUNK = 64  # sessions
_SESSION_BYTES = 6 * PAGE
_ANSWER_BYTES = 2 * PAGE

Moved = Callable[[int], object]


class Found(NamedTuple):
    """What an erasure did or would do, and how many active sessions with the user it left."""

    erased: Erased
    left: int


def erase(database: Database, user_id: str, moved: Moved) -> Found:
    """Erase a user from every ended session. `moved` is called with numbers of sessions that were searched."""
    erasure = Erasure(new_id(), clock.now(), user_id)
    pace = Pace(database.writer)
    erasing = _Erasing(database, user_id, pace, lambda steps: pace.write(database.removals.erase(erasure, steps)))
    found = erasing.run(moved)
    pace.write(database.removals.finish(erasure))
    return found


def rehearse(database: Database, user_id: str, moved: Moved) -> Found:
    """Find what `erase` would do, and change nothing."""
    return _Erasing(database, user_id, Pace(database.writer), _planned).run(moved)


def _planned(steps: list[EraseStep]) -> Erased:
    messages = sum(len(step.sequences) for step in steps if isinstance(step, Blank))
    sessions = sum(isinstance(step, Unname) for step in steps)
    answers = sum(isinstance(step, DropAnswer | ChangeAnswer) for step in steps)
    return Erased(sessions, messages, answers)


class _Erasing:
    def __init__(
        self, database: Database, user_id: str, pace: Pace, write: Callable[[list[EraseStep]], Erased]
    ) -> None:
        self._reads = database.reads
        self._user_id = user_id
        self._batches = Batches[EraseStep](pace, self._add)
        self._write = write
        self._erased = Erased()
        self._left = set[str]()

    def run(self, moved: Moved) -> Found:
        parts = self._reads.sessions_with(self._user_id)
        while chunk := list(islice(parts, _CHUNK)):
            self._search([part for part in chunk if part.session.status != ACTIVE])
            self._leave([part for part in chunk if part.session.status == ACTIVE])
            moved(len(chunk))
        for answer in self._reads.answers():
            self._answer(answer)
        self._batches.flush()
        return Found(self._erased, len(self._left))

    def _search(self, parts: list[Part]) -> None:
        """Erase the user from the messages of ended sessions, then from the sessions."""
        for session_id, sequence, size in self._messages(part.session for part in parts):
            self._batches.add(Blank(session_id, (sequence,)), size)
        for part in parts:
            if part.created or part.enrolled:
                self._batches.add(Unname(part.session.id), _SESSION_BYTES + 50 * part.session.students)

    def _leave(self, parts: list[Part]) -> None:
        self._left.update(part.session.id for part in parts if part.created or part.enrolled)
        self._left.update(session_id for session_id, _, _ in self._messages(part.session for part in parts))

    def _messages(self, sessions: Iterable[Summary]) -> Iterator[tuple[str, int, int]]:
        """(session, sequence, bytes) of each message from or to the user."""
        for found in self._reads.messages_of(self._user_id, sessions, whole=False):
            for held in found:
                yield held.session_id, held.sequence, MESSAGE_BYTES + held.rest[0]

    def _answer(self, kept: KeptAnswer) -> None:
        step = _of_answer(kept, self._user_id, self._reads.is_active)
        if step is not None:
            self._batches.add(step, _ANSWER_BYTES + len(kept.answer))

    def _add(self, steps: list[EraseStep]) -> None:
        erased = self._write(list(_joined(steps)))
        self._erased = Erased(*map(sum, zip(self._erased, erased, strict=True)))


def _joined(steps: list[EraseStep]) -> Iterator[EraseStep]:
    """The same steps; neighbouring messages of a session become one step."""
    for session_id, group in groupby(steps, lambda step: step.session_id if isinstance(step, Blank) else None):
        if session_id is None:
            yield from group
        else:
            yield Blank(session_id, tuple(step.sequences[0] for step in group if isinstance(step, Blank)))


def _of_answer(kept: KeptAnswer, user_id: str, is_active: Callable[[str], bool]) -> EraseStep | None:
    """The step for a kept answer; None if it does not name the user, or if its session is active."""
    own = kept.scope.endswith((f" {STUDENT} {user_id}", f" {INSTRUCTOR} {user_id}"))
    if not own and user_id not in kept.answer:
        return None
    answer = decoded(kept)
    erased = _without(answer, user_id)
    if (not own and erased == answer) or is_active(session_of_answer(answer)):
        return None
    author = answer.created_by if isinstance(answer, Session) else answer.from_user
    if own or author == user_id:
        return DropAnswer(kept.scope, kept.key)
    return ChangeAnswer(kept.scope, kept.key, kept.answer, json_text(erased))


def decoded(kept: KeptAnswer) -> Session | Message:
    """The session or message of a kept answer."""
    if kept.scope.partition(" ")[0] == "create":
        return msgspec.json.decode(kept.answer, type=Session)
    return msgspec.json.decode(kept.answer, type=Message)


def session_of_answer(answer: Session | Message) -> str:
    """The id of the session that an answer is or belongs to."""
    return answer.id if isinstance(answer, Session) else answer.session_id


def names(answer: Session | Message, user_id: str) -> bool:
    """Whether a kept answer has the user in one of its fields, the content aside."""
    return _without(answer, user_id) != answer


def _without(answer: Session | Message, user_id: str) -> Session | Message:
    def other(name: str) -> str:
        return ERASED if name == user_id else name

    if isinstance(answer, Session):
        students = tuple(dict.fromkeys(map(other, answer.student_ids)))
        return msgspec.structs.replace(answer, created_by=other(answer.created_by), student_ids=students)
    to_user = answer.to_user and other(answer.to_user)
    return msgspec.structs.replace(answer, from_user=other(answer.from_user), to_user=to_user)
