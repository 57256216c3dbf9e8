"""The database of a test: a SQLite file, or a database on a real PostgreSQL server. Each test has its own."""

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import apsw
import psycopg

from shared.models import POSTGRESQL_MODELS
from tests.postgres.server import Server, is_installed

SQLITE, POSTGRESQL = KINDS = ("sqlite", "postgresql")

ADMINISTRATOR = "tests"
"""The application name of the tests' own connections to a server."""

_TABLES = [model._meta.table_name for model in POSTGRESQL_MODELS]
_names = itertools.count(1)


@dataclass
class Storage:
    """A database for one test."""

    kind: str
    url: str
    changed: bool = False
    """Whether the test itself may have changed something, such as a table's definition."""

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement directly, without the service."""
        self.changed = True
        (rows,) = self.ask([statement])
        return rows

    def ask(self, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        """The rows of each of these statements, which must only read."""
        if self.kind == SQLITE:
            with closing(apsw.Connection(self.url.removeprefix("sqlite:///"))) as connection:
                return [connection.execute(statement).fetchall() for statement in statements]
        with _administrator(self.url) as administrator:
            cursors = [administrator.execute(statement) for statement in statements]
            return [cursor.fetchall() if cursor.description else [] for cursor in cursors]

    def dump(self, folder: Path) -> None:
        """Write the tables of a PostgreSQL database to files in this folder; a SQLite database is a file already."""
        if self.kind == POSTGRESQL:
            for table in _TABLES:
                (folder / f"{table}.txt").write_text("\n".join(map(str, self.ask([f"SELECT * FROM {table}"])[0])))


def _administrator(url: str) -> psycopg.Connection:
    return psycopg.connect(url, autocommit=True, application_name=ADMINISTRATOR, options="-c lock_timeout=10s")


def sqlite_file(path: Path) -> Storage:
    """A SQLite file, which the first call creates."""
    return Storage(SQLITE, f"sqlite:///{path}")


class PostgresDatabases:
    """Databases on the server of `SWITCHBOARD_TEST_POSTGRES_URL`, or on one that is started at the first use."""

    def __init__(self) -> None:
        self._server: Server | None = None
        self._url = os.environ.get("SWITCHBOARD_TEST_POSTGRES_URL", "")
        self._spare: str | None = None

    @property
    def available(self) -> bool:
        """Whether there is a server, or one can be started."""
        return bool(self._url) or is_installed()

    @contextmanager
    def database(self) -> Iterator[Storage]:
        """An empty database. It is migrated already if an earlier test used it and did not change its tables."""
        name, self._spare = self._spare or self._create(), None
        storage = Storage(POSTGRESQL, self._of(name))
        try:
            yield storage
        finally:
            if storage.changed or not _emptied(storage):
                self._drop(name)
            else:
                self._spare = name

    @contextmanager
    def unmigrated(self) -> Iterator[Storage]:
        """A database without any table."""
        name = self._create()
        try:
            yield Storage(POSTGRESQL, self._of(name))
        finally:
            self._drop(name)

    def _create(self) -> str:
        name = f"classroom_{os.getpid()}_{next(_names)}"
        with _administrator(self._maintenance()) as administrator:
            administrator.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def _drop(self, name: str) -> None:
        with _administrator(self._maintenance()) as administrator:
            administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")  # also while clients are connected

    def close(self) -> None:
        """Drop the spare database and stop the server."""
        if self._spare is not None:
            self._drop(self._spare)
        if self._server is not None:
            self._server.close()
            self._server = None

    def _maintenance(self) -> str:
        if self._url:
            return self._url
        if self._server is None:
            self._server = Server()
            self._server.start()
        return self._server.url()

    def _of(self, name: str) -> str:
        parts = urlsplit(self._maintenance())
        return urlunsplit(parts._replace(path=f"/{name}"))


def _emptied(storage: Storage) -> bool:
    with _administrator(storage.url) as administrator:
        administrator.execute("SET lock_timeout = '2s'")
        try:
            for table in _TABLES:
                administrator.execute(f"DELETE FROM {table}")
        except psycopg.Error:
            return False
    return True
