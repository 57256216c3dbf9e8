"""Child processes of a test, which report in lines of JSON and are ended by their ids."""

import json
import os
import select
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

TIMEOUT = 120.0  # seconds; only a broken test waits this long

Report = Callable[[Any], object]


class Child:
    """A forked process that runs `work(report)`; it is killed at the end of the `with` block."""

    def __init__(self, work: Callable[[Report], object]) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            _live(work, writing)
        os.close(writing)
        self._pipe = reading
        self._rest = b""
        self._reaped = False

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def report(self, timeout: float = TIMEOUT) -> Any:
        """The next report. Raises when none comes in time, or when the process has ended."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._pipe], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the other process did not report in time"
            some = os.read(self._pipe, 65536)
            assert some, "the other process ended"
            self._rest += some
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def rest(self) -> list[Any]:
        """Every complete report of a process that has ended."""
        while some := os.read(self._pipe, 65536):
            self._rest += some
        return [json.loads(line) for line in self._rest.split(b"\n")[:-1]]

    def stop(self) -> None:
        """Freeze the process; return when it is frozen."""
        os.kill(self.pid, signal.SIGSTOP)
        self.wait_until_stopped()

    def wait_until_stopped(self) -> None:
        """Return when the process is frozen, by itself or by another process."""
        assert os.WIFSTOPPED(os.waitpid(self.pid, os.WUNTRACED)[1])

    def go_on(self) -> None:
        """Let a frozen process continue."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        if not self._reaped:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._reaped = True

    def close(self) -> None:
        """Kill the process and close its pipe."""
        self.kill()
        os.close(self._pipe)


def apart(work: Callable[[], Any]) -> Any:
    """Run `work` in a child process and return its result (as JSON): for limits and rights of that process only."""
    with Child(lambda report: report(work())) as child:
        return child.report()


def _live(work: Callable[[Report], object], pipe: int) -> None:
    code = 1
    try:
        work(lambda value: os.write(pipe, json.dumps(value).encode() + b"\n"))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
