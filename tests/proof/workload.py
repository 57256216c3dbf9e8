"""One process of the workload: it makes random calls of the real handlers, in its own environment, and records them.

Run it as `python -m tests.proof.workload` with a `Plan` as JSON. The processes share their sessions through the board:
a file to which the creator of a session appends it after the acknowledgement. Each entry has a time. From that time on
each thread of each process tries to end the session, so the ends race with each other and with all other calls.
"""

import itertools
import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final
from unittest import mock

import msgspec

from shared import clock
from tests.proof.handlers import ASK
from tests.proof.record import OK, UNKNOWN, Fields, Recorder

STUDENTS: Final = ("ann", "bob", "cleo", "dan", "eve", "fay")
INSTRUCTORS: Final = ("noether", "abel", "hopper")
TYPES: Final = {
    "student": ("instructor_inbox", "request_response", "analytics"),
    "instructor": ("inbox_response", "request", "instructor_broadcast"),
}
ADDRESSED_TYPES: Final = ("inbox_response", "request")

BOARD: Final = "board"

_OPEN_SESSIONS = 5  # sessions whose time to end has not come, at most
_RECENT_SESSIONS = 8  # sessions that calls choose from, including ended ones
_LIFE = (0.2, 2.5)  # seconds from the creation of a session to the time to end it
_WEIGHTS = {"validate": 30, "store": 30, "get": 15, "history": 8, "list": 4, "end": 0.2}
_REMEMBERED = 20  # calls with a key that may be repeated


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a process does, until a time of CLOCK_MONOTONIC."""

    folder: str
    name: str
    seed: str
    until: float
    rate: float  # calls per second of each thread, at most
    threads: int = 1
    clock_step: float = 0.0  # seconds by which its wall clock is wrong, forwards and backwards in turn
    audit: bool = False  # read everything once instead


class Listed(msgspec.Struct, frozen=True):
    """A session on the board."""

    id: str
    student_ids: list[str]
    doomed: float  # the time of CLOCK_MONOTONIC from which every thread tries to end it


class Board:
    """The sessions that all processes share."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._offset = 0
        self._sessions: list[Listed] = []

    def add(self, session: Listed) -> None:
        """Share a session with all processes."""
        with self._path.open("ab", buffering=0) as file:
            file.write(msgspec.json.encode(session) + b"\n")

    def recent(self) -> list[Listed]:
        """The sessions that were added last."""
        with self._lock, self._path.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _torn = file.read().rpartition(b"\n")
            self._offset += len(whole) + len(newline)
            self._sessions += [msgspec.json.decode(line, type=Listed) for line in whole.splitlines()]
            self._sessions = self._sessions[-_RECENT_SESSIONS:]
            return list(self._sessions)


class Caller:
    """One thread: makes calls and records them. Each page is a call; pages of one reading have the same `reading`."""

    def __init__(self, name: str, recorder: Recorder) -> None:
        self._name = name
        self._recorder = recorder
        self._names = (f"{name}-{number}" for number in itertools.count())

    def new_name(self) -> str:
        """A name that no other caller uses."""
        return next(self._names)

    def call(self, operation: str, arguments: Fields) -> tuple[str, Fields]:
        """Make one call; return its outcome and the recorded part of the answer."""
        return self._recorder.call(self._name, operation, arguments, lambda: ASK[operation](arguments))

    def read_all(self, operation: str, arguments: Fields) -> list[Fields]:
        """Read all pages, or up to the first failure."""
        reading, pages = self.new_name(), []
        cursor = None
        for page in itertools.count():
            asked = arguments | {"reading": reading, "page": page, "cursor": cursor}
            outcome, value = self.call(operation, asked)
            if outcome != OK:
                break
            pages.append(value)
            cursor = value["next_cursor"]
            if cursor is None:
                break
        return pages


class RandomCaller(Caller):
    """Makes random calls, and repeats some of them."""

    def __init__(self, plan: Plan, thread: int, recorder: Recorder, board: Board) -> None:
        super().__init__(f"{plan.name}.{thread}", recorder)
        self._plan = plan
        self._random = random.Random(f"{plan.seed} {thread}")
        self._board = board
        self._tried_to_end: set[str] = set()
        self._repeatable: list[tuple[str, Fields]] = []
        self._choices: dict[str, Callable[[Listed], object]] = {
            "end": self._end,
            "get": lambda session: self.call("get", {"session_id": session.id}),
            "history": self._history,
            "list": self._list,
            "store": self._store,
            "validate": self._validate,
        }

    def run(self) -> None:
        """Make random calls until the plan's time is over, at most at its rate."""
        started = time.monotonic()
        for number in itertools.count():
            self._step()
            early = started + number / self._plan.rate - time.monotonic()
            if early > 0:
                time.sleep(early)
            if time.monotonic() >= self._plan.until:
                return

    def _step(self) -> None:
        sessions = self._board.recent()
        now = time.monotonic()
        still_open = sum(session.doomed > now for session in sessions)
        if still_open < self._random.randint(1, _OPEN_SESSIONS):
            self._create()
            return
        session = self._random.choice(sessions)
        operation = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        if session.doomed <= now and session.id not in self._tried_to_end:
            operation = "end"
        self._choices[operation](session)

    def _create(self) -> None:
        arguments: Fields = {
            "name": self.new_name(),
            "instructor_id": self._random.choice(INSTRUCTORS),
            "student_ids": self._random.sample(STUDENTS, self._random.randint(1, 4)),
            "key": self._random.choice([None, self.new_name()]),
        }
        doomed = time.monotonic() + self._random.uniform(*_LIFE)
        value = self._write("create", arguments)
        if value is not None:
            self._board.add(Listed(value["id"], arguments["student_ids"], doomed))

    def _end(self, session: Listed) -> None:
        self._tried_to_end.add(session.id)
        self.call("end", {"session_id": session.id})

    def _validate(self, session: Listed) -> None:
        self.call("validate", {"session_id": session.id, **self._anybody(session)})

    def _list(self, session: Listed) -> None:
        query = {
            "status": self._random.choice([None, "active", "ended", "all"]),
            "created_by": self._random.choice([None, *INSTRUCTORS]),
            "student_id": self._random.choice([None, *STUDENTS]),
            "limit": self._random.choice([2, 7, 100]),
        }
        self.read_all("list", query)

    def _history(self, session: Listed) -> None:
        reader = self._random.choice([{"user_id": None, "role": None}, self._anybody(session)])
        limit = self._random.choice([3, 20, 1000])
        self.read_all("history", {"session_id": session.id, **reader, "limit": limit})

    def _anybody(self, session: Listed) -> Fields:
        """A random user, of the session or not."""
        instructor = {"user_id": self._random.choice(INSTRUCTORS), "role": "instructor"}
        member = {"user_id": self._random.choice(session.student_ids), "role": "student"}
        anyone = {"user_id": self._random.choice(STUDENTS), "role": "student"}
        return self._random.choice([instructor, member, anyone])

    def _store(self, session: Listed) -> None:
        choice = self._random.random()
        if choice < 0.1 and self._repeatable:  # repeat an earlier call, perhaps in a session that has ended
            self._write(*self._random.choice(self._repeatable))
        elif choice < 0.2:  # all callers use this key with the same message, perhaps at the same time
            name = f"{session.id}-same-{self._random.randint(0, 9)}"
            self._write("store", self._broadcast(session, name, key=name))
        elif choice < 0.3:  # all callers use this key, each with another message
            key = f"{session.id}-one-{self._random.randint(0, 9)}"
            self._write("store", self._broadcast(session, self.new_name(), key))
        else:
            self._write("store", self._message(session))

    def _broadcast(self, session: Listed, token: str, key: str) -> Fields:
        sender = {"from_user": INSTRUCTORS[0], "role": "instructor", "to_user": None}
        return {"session_id": session.id, "token": token, "type": "instructor_broadcast", "key": key, **sender}

    def _message(self, session: Listed) -> Fields:
        sender = self._anybody(session)
        kind = self._random.choice(TYPES[sender["role"]])
        return {
            "session_id": session.id,
            "token": self.new_name(),
            "type": kind,
            "from_user": sender["user_id"],
            "role": sender["role"],
            "to_user": self._random.choice(session.student_ids) if kind in ADDRESSED_TYPES else None,
            "key": self._random.choice([None, None, None, self.new_name()]),
        }

    def _write(self, operation: str, arguments: Fields) -> Fields | None:
        """Make a write; with a key, repeat it if its outcome is unknown. Return the answer, or None if it failed."""
        outcome, value = self.call(operation, arguments)
        if arguments["key"] is not None:
            self._repeatable = [*self._repeatable[1 - _REMEMBERED :], (operation, arguments)]
            if outcome in UNKNOWN:
                outcome, value = self.call(operation, arguments)
        return value if outcome == OK else None


def audit(caller: Caller) -> None:
    """Read every session and every message once."""
    found: dict[str, None] = {}
    for status in ("active", "ended", "all"):
        query = {"status": status, "created_by": None, "student_id": None, "limit": 100}
        found |= dict.fromkeys(one["id"] for page in caller.read_all("list", query) for one in page["sessions"])
    for session_id in found:
        caller.call("get", {"session_id": session_id})
        query = {"session_id": session_id, "user_id": None, "role": None, "limit": 1000}
        caller.read_all("history", query)


def _wrong_clock(step: float) -> type[datetime]:
    """A wall clock that is wrong by `step`: one second forwards, the next second backwards."""

    class WrongClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "WrongClock":
            late = int(time.monotonic()) % 2
            return super().now(tz) + timedelta(seconds=step if late else -step)

    return WrongClock


def run(plan: Plan) -> None:
    """Run the plan: all threads at the same time."""
    folder = Path(plan.folder)
    recorder = Recorder(folder / f"{plan.name}.jsonl")
    board = Board(folder / BOARD)
    with (
        mock.patch.object(clock, "datetime", _wrong_clock(plan.clock_step)),
        ThreadPoolExecutor(plan.threads) as threads,
    ):
        if plan.audit:
            audit(Caller(plan.name, recorder))
        callers = [RandomCaller(plan, thread, recorder, board) for thread in range(0 if plan.audit else plan.threads)]
        for running in [threads.submit(caller.run) for caller in callers]:
            running.result()
    recorder.close()


if __name__ == "__main__":
    run(msgspec.json.decode(sys.argv[1], type=Plan))
