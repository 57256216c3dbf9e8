"""One PgBouncer in transaction mode before a server: Debian's, where it is installed. It refuses to run as root too."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from tests.postgres.server import NOBODY, PASSWORD, TIMEOUT, USER, Server, address, free_port

PROGRAM = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")


class PgBouncer:
    """A pooler that gives a client a server connection for the time of a transaction."""

    def __init__(self, server: Server, *, size: int) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="switchboard-pgbouncer-"))
        self._user = NOBODY if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        (self.folder / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
        (self.folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={server.folder} port={server.port}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = plain\nauth_file = {self.folder}/users\nserver_login_retry = 1\n"
            f"pool_mode = transaction\ndefault_pool_size = {size}\nmax_client_conn = 500\n"
        )
        if self._user:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, self._user)

    def __enter__(self) -> "PgBouncer":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        """The URL of a database through the pooler."""
        return address(self.port, database)

    def start(self) -> None:
        """Start the pooler; return when it listens."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(PROGRAM), str(self.folder / "pgbouncer.ini")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                extra_groups=() if self._user else None,
            )
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert self._process.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.02)

    def stop(self) -> None:
        """Kill the pooler and so close every connection."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(TIMEOUT)
            self._process = None

    def log(self) -> str:
        """The log."""
        return (self.folder / "log").read_text("utf-8", "replace")
