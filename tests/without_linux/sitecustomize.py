"""Imported by every Python that starts with this folder in its path: hides what only Linux has."""

import fcntl
import os
import select
import selectors
import signal
import socket
import sys
from typing import Any

NAMES: dict[Any, tuple[str, ...]] = {
    fcntl: ("F_OFD_", "F_SETSIG", "F_GETSIG", "F_SETPIPE_SZ", "F_GETPIPE_SZ", "F_ADD_SEALS", "F_GET_SEALS"),
    os: ("pidfd_", "memfd_", "eventfd", "sched_get", "sched_set", "SCHED_", "splice", "posix_fadvise", "O_PATH"),
    select: ("epoll", "EPOLL"),
    selectors: ("EpollSelector",),
    signal: ("pidfd_",),
    socket: ("SO_PEERCRED", "TCP_KEEPIDLE", "TCP_QUICKACK", "TCP_USER_TIMEOUT"),
}
"""How the names begin that are hidden, of each module."""


def hide(executable: str) -> None:
    """Hide them, `uvloop` and `/proc` from this process; what it starts by `sys.executable` is started by this."""
    for module, beginnings in NAMES.items():
        for name in [name for name in vars(module) if name.startswith(beginnings)]:
            delattr(module, name)
    selectors.DefaultSelector = selectors.PollSelector  # type: ignore[misc, assignment]
    sys.modules["uvloop"] = None  # type: ignore[assignment]
    sys.addaudithook(_refuse_proc)
    sys.executable = executable


def _refuse_proc(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith(("/proc", "/sys")):
        raise FileNotFoundError(2, "No such file or directory", arguments[0])


if "TESTS_WITHOUT_LINUX" in os.environ and __name__ == "sitecustomize":
    here = os.path.dirname(__file__)  # noqa: PTH120
    sys.path.remove(here)
    rest = os.environ.pop("PYTHONPATH").removeprefix(here).removeprefix(":")
    if rest:
        os.environ["PYTHONPATH"] = rest
    hide(os.environ.pop("TESTS_WITHOUT_LINUX"))
