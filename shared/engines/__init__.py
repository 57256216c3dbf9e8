"""Database URLs turned into engines: connections with their settings, and one transaction for writes at a time."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from shared.config import Settings, variable
from shared.errors import ConfigurationError, DatabaseError

if TYPE_CHECKING:
    from peewee import Database

Row = tuple[Any, ...]


class Cursor(Protocol):
    """What a statement gives back."""

    def fetchall(self) -> list[Row]:
        """Every row that is left."""


class Connection(Protocol):
    """What runs a statement inside a transaction."""

    def execute(self, statement: str, bindings: Sequence[Any] = ()) -> Cursor:
        """Run one statement."""


class Engine(Protocol):
    """One database, as the layers above see it. Every method may raise the `DatabaseError` family."""

    @property
    def dialect(self) -> "Database":
        """peewee's database of the same kind: builds SQL, makes and checks tables."""

    def exists(self) -> bool:
        """Whether the database was made already."""

    def exclusive(self, deadline: float) -> AbstractContextManager[None]:
        """Keep every other process's migrations out."""

    def fetch(self, statement: str, bindings: Sequence[Any] = ()) -> list[Row]:
        """Every row of a read, outside the single writer."""

    def walk(self, statement: str, bindings: Sequence[Any] = ()) -> AbstractContextManager[Iterator[Row]]:
        """The rows of a read one after the other, for who may stop early."""

    def snapshot(self) -> AbstractContextManager[Connection]:
        """A connection whose reads all see the same state."""

    def begin(self, deadline: float) -> Connection:
        """Become the database's only writer and open a transaction, until `clock.elapsed()` passes `deadline`."""

    def commit(self) -> None:
        """Make the transaction's writes stand."""

    def rollback(self) -> None:
        """Undo the transaction, if there still is one; never raises."""

    def in_transaction(self) -> bool:
        """Whether the write transaction is still open: some failures end it."""

    def tidy(self) -> None:
        """Housekeeping between two transactions, still as the only writer; never raises."""

    def release(self) -> None:
        """Let the next writer in."""

    def failure(self, error: BaseException) -> DatabaseError | None:
        """What a driver's exception means to a caller; None when it is no matter of the database's state."""

    def close(self) -> None:
        """Close every connection; closing twice is fine."""


def open_engine(settings: Settings) -> Engine:
    """The engine that the settings' URL names; nothing is opened yet. Raises `ConfigurationError`."""
    scheme = settings.database_url.partition("://")[0]
    if scheme == "sqlite":
        from shared.engines.sqlite import SqliteEngine

        return SqliteEngine(settings)
    raise ConfigurationError(f"{variable('database_url')} must begin with sqlite:///")
