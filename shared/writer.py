"""The single writer: every write of the process goes through one queue and is committed in a batch.

There is no writer thread. A caller puts its write task into the queue. If there is no leader, the caller becomes the
leader: it begins a transaction (`Engine.begin`; on SQLite this takes the lock across processes), takes the tasks that
are then in the queue as a batch, runs and commits them, wakes their callers, and makes the caller of the next queued
task the leader. So a single caller needs no second thread, and nothing runs in the background of an execution
environment that may be frozen.

Invariants
- Only the leader uses the write connection, from `begin` to `release`. `_leading` is true while there is a leader.
  `_leading` and the queue change only under `_mutex`, and no thread waits for anything while it holds `_mutex`.
- When `write` returns, the write is committed. When it raises, nothing of the write is in the database, except after
  `DatabaseTimeoutError`: then the outcome is unknown.
- A write that fails does not make the other writes of its batch fail.
- A failure that can pass is retried once, after a delay that only this caller waits. A transient failure (a lost race,
  a lost connection) is retried at once and then until the deadline. When an earlier attempt may have been committed,
  the write is called with `repeat=True` and must not be made twice.
- Every wait ends: a caller leaves the queue at its deadline. The error says whether the outcome is known.
- `close` refuses new writes. The writes in the queue are still committed, and their callers get their results.
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


class Deferred(Generic[T]):
    """A result that is read after the commit, so that the batch does not wait for the answer to each statement."""

    __slots__ = ("read",)

    def __init__(self, read: Callable[[], T]) -> None:
        self.read = read


Write = Callable[[Connection, bool], T | Deferred[T]]
"""What a write does inside its transaction: (connection, repeat) -> its result, or a `Deferred` one.

A write first checks, then changes the database. So an error of the service itself (not a `DatabaseError`) means that
the write has changed nothing.
"""

_MAX_BATCH = 256  # writes in one transaction; it limits how long the next callers wait
_CONTENDED_BATCHES = 16  # batches of one write, after which no other callers are expected any more
_CLOSE_TIMEOUT = 30.0  # seconds that `close` waits for the queue; longer than any write may take


class _Task(Generic[T]):
    """A write task: one write, first in the queue, then in a batch, then done."""

    __slots__ = (
        "atomic",
        "begin_deadline",
        "deadline",
        "done",
        "error",
        "leads",
        "order",
        "repeat",
        "result",
        "separate",
        "taken",
        "wake",
        "write",
    )

    def __init__(
        self, write: Write[T], atomic: bool, order: str, begin_deadline: float, deadline: float, *, repeat: bool
    ) -> None:
        self.write = write
        self.atomic = atomic
        self.order = order
        self.begin_deadline = begin_deadline  # a leader waits until then to begin the transaction
        self.deadline = deadline  # the caller waits until then for the result
        self.repeat = repeat  # an earlier attempt may have been committed
        self.separate = False  # runs in a transaction of its own
        self.taken = False  # is in a batch: the caller cannot withdraw it
        self.leads = False  # the caller is the leader, or has been woken to become it
        self.done = False
        self.wake: threading.Lock | None = None  # released when done or to lead; None while no thread waits on it
        self.result: Any = None
        self.error: BaseException | None = None


class Writer:
    """The queue of writes for one engine. Times are in seconds."""

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
        self._idle = threading.Condition(self._mutex)  # there is no leader, and so the queue is empty
        self._queue: deque[_Task[Any]] = deque()
        self._leading = False
        self._closing = threading.Event()
        self._contended = 0  # for this many more batches, other callers are expected
        self._callers = 0  # how many were in the last batch or queued after it
        self._process = os.getpid()
        self._writes = self._batches = self._retries = self._failures = 0

    def write(self, write: Write[T], *, atomic: bool = False, order: str = "", timeout: float | None = None) -> T:
        """Run `write` in a transaction. Return its result after the commit, or raise what `write` raised.

        An `atomic` write changes the database by exactly one statement, and that is its last one: if it fails, there is
        nothing to undo. After `Engine.allow_autocommit` it runs without `BEGIN` and `COMMIT`. `order` names what the
        write locks. The writes of a batch run in this order, so that two processes cannot wait for each other in
        a circle. `timeout` replaces the writer's own.
        """
        now = clock.elapsed()
        deadline = now + (self._write_timeout if timeout is None else timeout)
        attempts, repeat = 0, False
        while True:
            begin_deadline = min(deadline, now + self._busy_timeout)
            task = _Task(write, atomic, order, begin_deadline, deadline, repeat=repeat)
            try:
                return self._perform(task)
            except errors.DatabaseError as error:
                failure = error
            attempts += 1
            repeat = task.repeat or failure.outcome_unknown  # `task.repeat`: its batch may have been committed
            if not self._wait_for_retry(failure, attempts, deadline):
                break
            now = clock.elapsed()
        self._failures += 1
        log.error("write failed: %s (%s)", failure, _reason(failure))
        if repeat:  # an earlier attempt may have been committed: no error may say that nothing was written
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
        """What this writer did since it was made, and how many writes are queued now."""
        return {
            "queued": len(self._queue),
            "writes": self._writes,
            "batches": self._batches,
            "retries": self._retries,
            "failures": self._failures,
        }

    def close(self) -> None:
        """Refuse new writes, and wait until the queued ones are done. Closing twice is allowed."""
        self._closing.set()
        if self._process == os.getpid():
            with self._idle:
                self._idle.wait_for(lambda: not self._leading, _CLOSE_TIMEOUT)

    # --- what every caller does

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
        """Return when the task is done or its caller becomes the leader; raise when the deadline is first."""
        assert task.wake is not None
        if task.wake.acquire(timeout=max(0.0, task.deadline - clock.elapsed())):
            return
        with self._mutex:  # no leader can take the task now: if it is still in the queue, it can be withdrawn
            if task.done or task.leads:
                return
            if task.taken or task.repeat:
                raise errors.DatabaseTimeoutError
            self._queue.remove(task)
        raise errors.DatabaseBusyError

    def _leave(self, task: _Task[Any]) -> None:
        """The caller gave up or was interrupted: remove its task, and pass the lead on if it is the leader."""
        with self._mutex:
            task.done = True  # if its batch has to run again, it runs without this task
            if task in self._queue:
                self._queue.remove(task)
            if task.leads:
                self._pass_lead(task)

    # --- what only the leader does

    def _lead(self, task: _Task[Any]) -> None:
        """Commit one batch, normally with this task in it, and pass the lead on."""
        if self._contended and self._engine.waits_for_batch:
            self._wait_for_batch()
        try:
            connection = self._engine.begin(task.begin_deadline)
        except Exception as error:
            with self._mutex:
                self._queue.remove(task)
                task.error, task.done = error, True
                if isinstance(error, errors.DatabaseError) and error.transient:
                    self._fail_queued(error)
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
            self._engine.rollback()  # the leader was interrupted: the transaction may be open
            raise
        finally:
            self._engine.release()
            self._requeue_and_pass_lead(task, undone)
        self._callers = len(batch) + len(self._queue)
        self._yield_if_contended(len(batch))

    def _fail_queued(self, error: errors.DatabaseError) -> None:
        """Fail every queued task with the error of `begin`; their callers then decide about a retry.

        Otherwise each of them in turn would become the leader and wait for the same unreachable database.
        """
        while self._queue:
            task = self._queue.popleft()
            task.error, task.done = copy(error), True
            task.error.__cause__ = error.__cause__  # the driver's error, for the log: `copy` leaves it out
            if task.wake is not None:
                task.wake.release()

    def _yield_if_contended(self, writes: int) -> None:
        """Let the callers that were just woken run.

        This thread would otherwise keep the interpreter (the GIL) for milliseconds, and could write many times before
        any other caller.
        """
        if writes > 1:
            self._contended = _CONTENDED_BATCHES
        if self._contended:
            self._contended -= 1
            time.sleep(0)

    def _wait_for_batch(self) -> None:
        """Let other callers queue their next write, until no more come or half of the last callers are queued.

        The other half can queue while the database works on this batch. So there are two groups that take turns.
        """
        waiting = 0
        while waiting < len(self._queue) < self._callers // 2:
            waiting = len(self._queue)
            time.sleep(0)

    def _take(self, batch: list[_Task[Any]]) -> None:
        """Fill the batch from the front of the queue; a `separate` task gets a batch of its own."""
        with self._mutex:
            while self._queue and len(batch) < _MAX_BATCH and not (batch and self._queue[0].separate):
                task = self._queue.popleft()
                task.taken = True
                batch.append(task)
                if task.separate:
                    break

    def _commit(self, connection: Connection, batch: list[_Task[Any]]) -> bool:
        """Run and commit a batch; False when it failed as a whole and its tasks have to run again."""
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
        except Exception as error:  # any write may be the cause: a pipelined statement reports its failure here
            return self._undo(batch, error)
        for task in batch:
            self._read_deferred(task)
        self._batches += 1
        self._writes += len(batch)
        return True

    def _run(self, connection: Connection, task: _Task[Any], *, shared: bool) -> None:
        """Run one write. In a shared batch it gets a savepoint if it needs one, so that only this write is undone."""
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
            elif not self._engine.savepoints and not _changed_nothing(task.error):
                self._engine.rollback()

    def _read_deferred(self, task: _Task[Any]) -> None:
        if isinstance(task.result, Deferred):
            try:
                task.result = task.result.read()
            except Exception as error:
                task.error = self._failure(error)

    def _failure(self, error: Exception) -> Exception:
        """The error for the caller; the driver's error is its cause, for the log."""
        failure = self._engine.failure(error)
        if failure is None or failure is error:
            return error
        failure.__cause__ = error
        return failure

    def _undo(self, batch: list[_Task[Any]], error: BaseException | None) -> bool:
        """The transaction is lost: fail the only task, or prepare each of several to run again, separately.

        Tasks that raised an error of their own run again too: they may have seen writes that are now undone.
        """
        self._engine.rollback()
        if len(batch) == 1:
            batch[0].error = batch[0].error or error
            return True
        unknown = isinstance(error, errors.DatabaseError) and error.outcome_unknown
        for task in batch:
            task.separate, task.repeat = True, task.repeat or unknown
            task.result = task.error = None
        return False

    def _answer(self, batch: list[_Task[Any]]) -> None:
        for task in batch:
            task.done = True
            if task.wake is not None and not task.leads:
                task.wake.release()

    def _requeue_and_pass_lead(self, task: _Task[Any], undone: list[_Task[Any]]) -> None:
        """Put the tasks that have to run again at the front of the queue, and pass the lead."""
        with self._mutex:
            for other in reversed(undone):
                if not other.done:
                    other.taken = False
                    # Not `separate`: the leader was interrupted, so the batch may have been committed.
                    other.repeat = other.repeat or not other.separate
                    self._queue.appendleft(other)
            if not task.done and task.wake is None:  # it has never waited, but another task may now be first
                task.wake = _locked()
            self._pass_lead(task)

    def _pass_lead(self, task: _Task[Any]) -> None:
        """Make the first queued task the leader and wake its caller. The caller of this method holds the mutex."""
        task.leads = False
        if not self._queue:
            self._leading = False
            if self._closing.is_set():
                self._idle.notify_all()
            return
        first = self._queue[0]
        first.leads = True
        if first is not task and first.wake is not None:
            first.wake.release()


def settled(result: T | Deferred[T]) -> T:
    """The result itself; a deferred one is read now, inside the transaction."""
    return result.read() if isinstance(result, Deferred) else result


def _reason(failure: errors.DatabaseError) -> str:
    """The driver's message, in one line; the error's code where there is none."""
    return " ".join(str(failure.__cause__ or failure.code).split())


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def _changed_nothing(error: BaseException) -> bool:
    """Whether the write raised this before it changed anything; see `Write`."""
    return isinstance(error, errors.SwitchboardError) and not isinstance(error, errors.DatabaseError)
