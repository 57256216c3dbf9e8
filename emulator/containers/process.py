"""One operating system process of one execution environment: its start, its log, its exit."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from emulator.containers.guardian import Guardian
from emulator.runtime.memory import PEAK

LOG_LIMIT = 1_048_576
"""Bytes of an invocation's output that are kept: the last ones."""
PAGE_KILOBYTES = os.sysconf("SC_PAGE_SIZE") // 1024
GUARDIAN = Guardian()


class Process:
    """A child process with a log pipe; its process group is killed when the emulator ends, even by SIGKILL."""

    def __init__(self, on_exit: Callable[[str], None]) -> None:
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        self.log = bytearray()
        self._popen: subprocess.Popen[bytes] | None = None
        self._descriptors: list[int] = []
        self._status = -1

    def start(self, command: Sequence[str], environ: Mapping[str, str], folder: str, *channels: socket.socket) -> None:
        """Start the child, which inherits the channels; a failed start leaves no process and no descriptor open."""
        with contextlib.ExitStack() as child_ends, contextlib.ExitStack() as undo:
            log_end, log_write = _pipe(undo, child_ends)
            life_read, life_end = _pipe(child_ends, undo)
            popen = subprocess.Popen(  # noqa: S603
                command,
                env=environ,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log_write,
                stderr=log_write,
                pass_fds=(life_read, *(channel.fileno() for channel in channels)),
                start_new_session=True,
            )
            undo.callback(_end_now, popen)
            undo.callback(_forget, popen.pid)
            _kill_with_emulator(life_read, popen.pid)
            os.set_blocking(log_end, False)
            self._descriptors = [log_end, life_end]
            undo.callback(self._descriptors.clear)
            self._loop.add_reader(log_end, self.read_log)
            undo.callback(self._loop.remove_reader, log_end)
            _make_batch(popen.pid)
            self._listen_for_exit(popen)
            self._popen = popen
            undo.pop_all()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._popen.pid if self._popen else 0

    def kill(self) -> None:
        """Kill the child and everything it started."""
        if self._popen is not None and self._popen.returncode is None:
            _kill_group(self._popen.pid)

    def read_log(self) -> None:
        """Read what has been printed so far."""
        if not self._descriptors:
            return
        try:
            while chunk := os.read(self._descriptors[0], 262_144):
                self.log += chunk
                if len(self.log) > LOG_LIMIT:
                    del self.log[:-LOG_LIMIT]
                if len(chunk) < 4096:
                    return
            self._loop.remove_reader(self._descriptors[0])
        except BlockingIOError:
            pass

    def take_log(self) -> bytes:
        """What has been printed since the last time."""
        self.read_log()
        if not self.log:
            return b""
        log = bytes(self.log)
        self.log.clear()
        return log

    def resident(self) -> int:
        """Kilobytes that are in memory now; 0 where the system does not say."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * PAGE_KILOBYTES

    def peak(self) -> int:
        """The most kilobytes that were in memory so far; 0 where the system does not say."""
        try:
            if self._status < 0:
                self._status = os.open(f"/proc/{self.pid}/status", os.O_RDONLY | os.O_CLOEXEC)
                self._descriptors.append(self._status)
            found = PEAK.search(os.pread(self._status, 4096, 0))
        except OSError:
            return 0
        return int(found[1]) if found else 0

    def _listen_for_exit(self, popen: subprocess.Popen[bytes]) -> None:
        watch = _exit_descriptor(popen.pid)
        if watch is not None:
            self._descriptors.append(watch)
            self._loop.add_reader(watch, self._exited)
        else:
            threading.Thread(target=self._await_exit, args=(popen,), daemon=True).start()

    def _await_exit(self, popen: subprocess.Popen[bytes]) -> None:
        popen.wait()
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._exited)

    def _exited(self) -> None:
        assert self._popen is not None
        for watch in self._descriptors[2:]:
            self._loop.remove_reader(watch)
        _forget(self._popen.pid)
        _kill_group(self._popen.pid)  # its children; the group's number is not free before the wait below
        code = self._popen.wait()
        self.read_log()
        self._loop.remove_reader(self._descriptors[0])
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []
        self._status = -1
        self._on_exit(_reason(code))


def _exit_descriptor(pid: int) -> int | None:
    """A descriptor that is readable when the process ends; None where the system has none, as in some sandboxes."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            return os.pidfd_open(pid)
    return None


def _pipe(read: contextlib.ExitStack, write: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe; each end is closed with its stack."""
    read_end, write_end = os.pipe()
    read.callback(os.close, read_end)
    write.callback(os.close, write_end)
    return read_end, write_end


def _end_now(popen: subprocess.Popen[bytes]) -> None:
    _kill_group(popen.pid)
    popen.wait()


def memory_is_known() -> bool:
    """Whether this system says how much memory another process has: Linux does, in `/proc`."""
    try:
        Path("/proc/self/statm").read_text()
    except OSError:
        return False
    return True


def _kill_with_emulator(life_read: int, group: int) -> None:
    """Have the group killed when the other end of this pipe closes: it does when the emulator dies.

    On Linux the kernel kills it. The child inherits the pipe and keeps it open. On other systems the guardian does.
    """
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(life_read, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life_read, fcntl.F_SETOWN, -group)
        fcntl.fcntl(life_read, fcntl.F_SETFL, fcntl.fcntl(life_read, fcntl.F_GETFL) | os.O_ASYNC)
    else:
        GUARDIAN.watch(group)


def _forget(group: int) -> None:
    if not hasattr(fcntl, "F_SETSIG"):
        GUARDIAN.forget(group)


def _make_batch(pid: int) -> None:
    """Keep this process from interrupting the emulator each time it wakes up: the emulator may have others to serve."""
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _reason(code: int) -> str:
    """A return code as Lambda writes it."""
    if code >= 0:
        return f"exit status {code}"
    name = signal.strsignal(-code) or f"signal {-code}"
    return f"signal: {name.lower()}"
