"""The single writer: every write of the process goes through this queue, and whoever leads it writes for all that wait.

There is no writer thread. A caller puts its write into the queue; when nobody leads, it leads: it becomes the only
writer of the database (`Engine.begin`: the lock across processes, then a transaction), takes what has gathered in
the queue meanwhile, commits all of it at once, wakes those callers, and hands the lead to the first that came since.
A lone caller pays for no hand-over, nothing runs in the background of a container that may be frozen, and there
is one writer at a time.

Invariants
- The write connection belongs to the leader, from `begin` to `release`. `_leading` says that there is one; it and
  the queue change only under `_mutex`, which nobody holds while doing anything that can wait.
- When `write` returns, the write is committed. When it raises, nothing of it was written, except for
  `DatabaseTimeoutError`: then the write may stand.
- A write that fails does not sink those that it shares a transaction with.
- A write that failed for a passing reason is tried once more, after a delay that only its own caller waits; one whose
  failure is transient (a lost race, a lost connection) at once, and then until its deadline. It is told (`repeat`) when
  an attempt before may stand after all, and must then not be made twice.
- Nobody waits without end: a caller leaves the queue at its deadline, and is told whether its write was under way.
- `close` refuses new writes and lets those that are in the queue be committed and answered.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from copy import copy
from typing import Any, Generic, TypeVar

from shared import clock, errors
from shared.engines import Connection, Engine
from shared.retries import backoff

log = logging.getLogger(__name__)

T = TypeVar("T")


class Later(Generic[T]):
    """A result that is read when the batch is committed, so that its statement need not be waited for."""

    __slots__ = ("read",)

    def __init__(self, read: Callable[[], T]) -> None:
        self.read = read


Write = Callable[[Connection, bool], T | Later[T]]
"""What a write does inside its transaction: (connection, repeat) -> result, or what reads it.

It checks first and changes then: what it raises of the service's own errors, it raises before it has changed anything.
"""

_BATCH = 256  # writes in one transaction, so that nobody waits for an endless one
_COMPANY = 16  # batches of a lone write, before company is no more expected
_CLOSE_PATIENCE = 30.0  # seconds that `close` waits for the queue, longer than any write may take


class _Task(Generic[T]):
    """One write on its way: in the queue, then taken into a batch, then done."""

    __slots__ = (
        "alone",
        "atomic",
        "deadline",
        "done",
        "error",
        "leads",
        "order",
        "queued_at",
        "repeat",
        "result",
        "taken",
        "wake",
        "write",
    )

    def __init__(
        self, write: Write[T], atomic: bool, order: str, queued_at: float, deadline: float, *, repeat: bool = False
    ) -> None:
        self.write = write
        self.atomic = atomic
        self.order = order
        self.queued_at = queued_at
        self.deadline = deadline
        self.repeat = repeat  # an attempt before this one may stand
        self.alone = False  # wants a transaction of its own
        self.taken = False  # in a batch: its caller cannot take it back
        self.leads = False  # its caller is the leader, or is woken to become it
        self.done = False
        self.wake: threading.Lock | None = None  # released when done, or to lead; only who waits has one
        self.result: Any = None
        self.error: BaseException | None = None


class Writer:
    """The queue before one engine's write connection. Times are in seconds."""

    def __init__(
        self,
        engine: Engine,
        *,
        queue_size: int,
        busy_timeout: float,
        retry_delay: float,
        write_timeout: float,
    ) -> None:
        self._engine = engine
        self._queue_size = queue_size
        self._busy_timeout = busy_timeout
        self._retry_delay = retry_delay
        self._write_timeout = write_timeout
        self._mutex = threading.Lock()
        self._idle = threading.Condition(self._mutex)  # nobody leads, and so nothing is queued
        self._queue: deque[_Task[Any]] = deque()
        self._leading = False
        self._closing = threading.Event()
        self._company = 0  # for how many batches more others are to be expected
        self._callers = 0  # in the last batch, and waiting behind it
        self._process = os.getpid()
        self._writes = self._batches = self._retries = self._failures = 0

    def write(self, write: Write[T], *, atomic: bool = False, order: str = "", timeout: float | None = None) -> T:
        """Run `write` in a transaction; return its result once that is committed, or raise what `write` raised.

        An `atomic` write changes the database by one statement, its last act, and when it is not repeated by its only
        statement where the engine takes a statement for a transaction: there is nothing to undo when it fails. `order`
        names what it locks: writes of a batch lock in this order, so that batches of two processes do not wait for each
        other. A `timeout` stands for the writer's own.
        """
        now = clock.elapsed()
        deadline = now + (self._write_timeout if timeout is None else timeout)
        attempts, repeat = 0, False
        while True:
            task = _Task(write, atomic, order, now, deadline, repeat=repeat)
            try:
                return self._perform(task)
            except errors.DatabaseError as error:
                failure = error
            attempts += 1
            repeat = task.repeat or failure.outcome_unknown  # also when a batch that it was in may stand
            if not self._wait_for_retry(failure, attempts, deadline):
                break
            now = clock.elapsed()
        self._failures += 1
        log.error("write failed: %s (%s)", failure, _reason(failure))
        if repeat:  # not to be called a failure when it may stand
            raise errors.DatabaseTimeoutError from failure
        raise failure

    def _wait_for_retry(self, failure: errors.DatabaseError, attempts: int, deadline: float) -> bool:
        if failure.transient:
            pause = backoff(attempts)
        elif failure.can_pass and attempts == 1:
            pause = self._retry_delay
        else:
            return False
        if clock.elapsed() + pause >= deadline:
            return False
        log.warning("write failed, another try in %.3g s: %s (%s)", pause, failure, _reason(failure))
        if self._closing.wait(pause):
            return False
        self._retries += 1
        return True

    def stats(self) -> dict[str, int]:
        """What this container's writer did since its start, and how many writes wait at the moment."""
        return {
            "queued": len(self._queue),
            "writes": self._writes,
            "batches": self._batches,
            "retries": self._retries,
            "failures": self._failures,
        }

    def close(self) -> None:
        """Refuse new writes and wait until those in the queue are answered; closing twice is fine."""
        self._closing.set()
        if self._process == os.getpid():
            with self._idle:
                self._idle.wait_for(lambda: not self._leading, _CLOSE_PATIENCE)

    # --- a caller's side

    def _perform(self, task: _Task[T]) -> T:
        try:
            self._enter(task)
            while not task.done:
                if task.leads:
                    self._lead(task)
                else:
                    self._wait(task)
        finally:
            if not task.done:
                self._leave(task)
        if task.error is not None:
            raise task.error
        result: T = task.result
        return result

    def _enter(self, task: _Task[Any]) -> None:
        if self._process != os.getpid():
            raise errors.DatabaseClosedError
        with self._mutex:
            if self._closing.is_set():
                raise errors.DatabaseClosedError
            if len(self._queue) >= self._queue_size:
                raise errors.DatabaseBusyError
            if self._leading:
                task.wake = _locked()
            else:
                self._leading = task.leads = True
            self._queue.append(task)

    def _wait(self, task: _Task[Any]) -> None:
        """Return when the task is done or is to lead; raise when its time is up first."""
        assert task.wake is not None
        if task.wake.acquire(timeout=max(0.0, task.deadline - clock.elapsed())):
            return
        with self._mutex:  # as a leader takes and wakes: what is in the queue now is not going to be written
            if task.done or task.leads:
                return
            if task.taken or task.repeat:
                raise errors.DatabaseTimeoutError
            self._queue.remove(task)
        raise errors.DatabaseBusyError

    def _leave(self, task: _Task[Any]) -> None:
        """The caller gives up or was interrupted: neither its task nor the lead may be left behind."""
        with self._mutex:
            task.done = True  # a batch that it is in and that has to be run again goes on without it
            if task in self._queue:
                self._queue.remove(task)
            if task.leads:
                self._pass_lead(task)

    # --- the leader's side

    def _lead(self, task: _Task[Any]) -> None:
        """Commit one batch with this task's write in it, and hand the lead on."""
        if self._company and self._engine.waits_for_batch:
            self._gather()
        try:
            connection = self._engine.begin(min(task.deadline, task.queued_at + self._busy_timeout))
        except Exception as error:
            with self._mutex:
                self._queue.remove(task)
                task.error, task.done = error, True
                if isinstance(error, errors.DatabaseError) and error.transient:
                    self._tell_all(error)
                self._pass_lead(task)
            return
        batch: list[_Task[Any]] = []
        undone = batch
        try:
            self._take(batch)
            if len(batch) > 1:
                batch.sort(key=lambda task: task.order)
            elif batch[0].atomic and not batch[0].repeat:
                self._engine.allow_autocommit()
            if self._commit(connection, batch):
                self._answer(batch)
                undone = []
            self._engine.maintain()
        except BaseException:
            self._engine.rollback()  # what an interruption left open
            raise
        finally:
            self._engine.release()
            self._hand_on(task, undone)
        self._callers = len(batch) + len(self._queue)
        self._yield_to_company(len(batch))

    def _tell_all(self, error: errors.DatabaseError) -> None:
        """No connection: who waits would wait for the same one after the other. Each has its own next attempt."""
        while self._queue:
            task = self._queue.popleft()
            task.error, task.done = copy(error), True
            task.error.__cause__ = error.__cause__  # a copy has none; the log says what the driver said
            if task.wake is not None:
                task.wake.release()

    def _yield_to_company(self, writes: int) -> None:
        """Let those that were just woken have the interpreter, or this thread may write on alone for milliseconds."""
        if writes > 1:
            self._company = _COMPANY
        if self._company:
            self._company -= 1
            time.sleep(0)

    def _gather(self) -> None:
        """Let those that were just answered come back with their next write, as long as any does, up to half of all.

        The other half comes while the first is with the database, so that neither waits for the other.
        """
        waiting = 0
        while waiting < len(self._queue) < self._callers // 2:
            waiting = len(self._queue)
            time.sleep(0)

    def _take(self, batch: list[_Task[Any]]) -> None:
        """Fill the batch from the front of the queue; a task that wants to be alone is."""
        with self._mutex:
            while self._queue and len(batch) < _BATCH and not (batch and self._queue[0].alone):
                task = self._queue.popleft()
                task.taken = True
                batch.append(task)
                if task.alone:
                    break

    def _commit(self, connection: Connection, batch: list[_Task[Any]]) -> bool:
        """Run and commit a batch; False when it failed as a whole and has to be run again."""
        failed = 0
        for task in batch:
            self._run(connection, task, shared=len(batch) > 1)
            if task.error is not None:
                failed += 1
                if not self._engine.in_transaction():
                    return self._undo(batch, task.error)
        if failed == len(batch):
            self._engine.rollback()
            return True
        try:
            self._engine.commit()
        except Exception as error:  # may be any write's: what was pipelined is known to have failed only here
            return self._undo(batch, error)
        for task in batch:
            self._read(task)
        self._batches += 1
        self._writes += len(batch)
        return True

    def _run(self, connection: Connection, task: _Task[Any], *, shared: bool) -> None:
        """One write; beside others behind a savepoint where it needs one, so that it fails for itself alone."""
        savepoint = shared and not task.atomic and self._engine.savepoints
        try:
            if savepoint:
                connection.execute("SAVEPOINT write")
            task.result = task.write(connection, task.repeat)
            if savepoint:
                connection.execute("RELEASE write")
        except Exception as error:
            task.error = self._failure(error)
            if savepoint and self._engine.in_transaction():
                connection.execute("ROLLBACK TO write")
                connection.execute("RELEASE write")
            elif not self._engine.savepoints and not _unwritten(task.error):
                self._engine.rollback()

    def _read(self, task: _Task[Any]) -> None:
        if isinstance(task.result, Later):
            try:
                task.result = task.result.read()
            except Exception as error:
                task.error = self._failure(error)

    def _failure(self, error: Exception) -> Exception:
        """What its caller is told, with what the driver said for the log."""
        failure = self._engine.failure(error)
        if failure is None or failure is error:
            return error
        failure.__cause__ = error
        return failure

    def _undo(self, batch: list[_Task[Any]], error: BaseException | None) -> bool:
        """The transaction is lost: a lone task is told, tasks of a batch are tried again, each alone.

        Also those that failed for themselves: what they saw of the others' writes did not come to stand.
        """
        self._engine.rollback()
        if len(batch) == 1:
            batch[0].error = batch[0].error or error
            return True
        unknown = isinstance(error, errors.DatabaseError) and error.outcome_unknown
        for task in batch:
            task.alone, task.repeat = True, task.repeat or unknown
            task.result = task.error = None
        return False

    def _answer(self, batch: list[_Task[Any]]) -> None:
        for task in batch:
            task.done = True
            if task.wake is not None and not task.leads:
                task.wake.release()

    def _hand_on(self, task: _Task[Any], undone: list[_Task[Any]]) -> None:
        """Put back what has to be run again, and pass the lead."""
        with self._mutex:
            for other in reversed(undone):
                if not other.done:
                    other.taken = False
                    other.repeat = other.repeat or not other.alone  # cut off by an interruption of its leader
                    self._queue.appendleft(other)
            if not task.done and task.wake is None:  # it never had to wait, and now may: it need not be the first
                task.wake = _locked()
            self._pass_lead(task)

    def _pass_lead(self, task: _Task[Any]) -> None:
        """Wake the first in the queue to lead, under the mutex."""
        task.leads = False
        if not self._queue:
            self._leading = False
            if self._closing.is_set():
                self._idle.notify_all()
            return
        following = self._queue[0]
        following.leads = True
        if following is not task and following.wake is not None:
            following.wake.release()


def now(result: T | Later[T]) -> T:
    """A write's result, its rows waited for inside the transaction."""
    return result.read() if isinstance(result, Later) else result


def _reason(failure: errors.DatabaseError) -> str:
    """What the driver said, in one line."""
    return " ".join(str(failure.__cause__ or failure.code).split())


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def _unwritten(error: BaseException) -> bool:
    """Whether a write raised it before it changed anything; see `Write`."""
    return isinstance(error, errors.SwitchboardError) and not isinstance(error, errors.DatabaseError)
