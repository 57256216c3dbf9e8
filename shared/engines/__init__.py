"""Database URLs turned into engines: connections with their settings, and one transaction for writes at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from shared.config import Settings, variable
from shared.errors import ConfigurationError, DatabaseError

if TYPE_CHECKING:
    from peewee import Database, Model

T = TypeVar("T")

Row = tuple[Any, ...]
Bindings = Sequence[Any] | Mapping[str, Any]
"""A statement's parameters, by their order or by their names."""


class Cursor(Protocol):
    """What a statement gives back."""

    def __iter__(self) -> Iterator[Row]:
        """One row after the other. A caller that stops early leaves the others where they are, if the engine can."""

    def fetchall(self) -> list[Row]:
        """Every row that is left."""


class Connection(Protocol):
    """What runs a statement inside a transaction."""

    def execute(self, statement: str, bindings: Bindings = ()) -> Cursor:
        """Run one statement, or only send it: then it has run once its rows are fetched or the batch is committed."""


class Engine(Protocol):
    """One database, as the layers above see it. Every method may raise the `DatabaseError` family."""

    @property
    def kind(self) -> str:
        """The URL's scheme: `sqlite` or `postgresql`."""

    @property
    def models(self) -> "tuple[type[Model], ...]":
        """The tables it keeps."""

    @property
    def savepoints(self) -> bool:
        """Whether a savepoint undoes a failed write; otherwise a failed statement ends the transaction."""

    @property
    def waits_for_batch(self) -> bool:
        """Whether the leader waits a moment for more writes: a batch costs about as much as one write."""

    @property
    def dialect(self) -> "Database":
        """peewee's database of the same kind: builds SQL, makes and checks tables."""

    def exists(self) -> bool:
        """Whether the database was created already."""

    def schema_version(self) -> str | None:
        """A text that changes with every change of a table or an index; None where comparing them all is as cheap."""

    def exclusive(self, deadline: float) -> AbstractContextManager[None]:
        """Keep the migrations of other processes from running at the same time."""

    def fetch(self, statement: str, bindings: Bindings = ()) -> list[Row]:
        """Every row of a read, outside the single writer."""

    def walk(self, statement: str, bindings: Bindings, read: Callable[[Iterator[Row]], T]) -> T:
        """The result of `read(rows)`, which may stop early. After a lost connection it is called again."""

    def snapshot(self, read: Callable[[Connection], T]) -> T:
        """The result of `read(connection)`; its reads see one state. After a lost connection it is called again."""

    def begin(self, deadline: float) -> Connection:
        """Prepare to write a batch in one transaction, waiting until `clock.elapsed()` passes `deadline`.

        On an engine with a single writer, the caller is that writer until it calls `release`.
        """

    def allow_autocommit(self) -> None:
        """The batch is one atomic write: the engine may run its statement without `BEGIN` and `COMMIT`."""

    def commit(self) -> None:
        """Commit the transaction."""

    def rollback(self) -> None:
        """Undo the transaction if one is open; never raises."""

    def in_transaction(self) -> bool:
        """Whether the write transaction is still open: some failures end it, and a single statement needs none."""

    def maintain(self) -> None:
        """Maintenance between two transactions, such as SQLite's checkpoint; never raises."""

    def release(self) -> None:
        """End the batch: the next writer may begin."""

    def failure(self, error: BaseException) -> DatabaseError | None:
        """The service's error for a driver's exception; None when it does not come from the database's state."""

    def close(self) -> None:
        """Close every connection; closing twice is fine."""


def kind_of(database_url: str) -> str:
    """The `Engine.kind` for a URL. Raises `ConfigurationError`."""
    scheme = database_url.partition("://")[0]
    if scheme == "postgres":
        return "postgresql"
    if scheme not in ("sqlite", "postgresql"):
        raise ConfigurationError(f"{variable('database_url')} must begin with sqlite:/// or postgresql://")
    return scheme


def engine_class(kind: str) -> Callable[[Settings], Engine]:
    """Import an engine with its driver. Raises `ConfigurationError` when the driver is missing."""
    if kind == "sqlite":
        from shared.engines.sqlite.engine import SqliteEngine

        return SqliteEngine
    try:
        from shared.engines.postgresql.engine import PostgresqlEngine
    except ImportError:
        raise ConfigurationError(f"{variable('database_url')} needs the package psycopg[binary]") from None
    return PostgresqlEngine


def open_engine(settings: Settings) -> Engine:
    """The engine that the settings' URL names; nothing is opened yet. Raises `ConfigurationError`."""
    return engine_class(kind_of(settings.database_url))(settings)
