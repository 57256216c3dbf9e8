"""Engines, writers and managers on the test's database."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.config import Settings
from shared.database import DatabaseManager, open_database
from shared.engines import Engine, open_engine
from shared.migrations import schema
from shared.sessions import SessionManager
from shared.writer import Writer
from tests.storage import SQLITE, Storage


@pytest.fixture
def settings(storage: Storage) -> Settings:
    """Settings for the test's database, with short timeouts."""
    busy_timeout = 200 if storage.kind == SQLITE else 3000
    return Settings(database_url=storage.url, retry_delay_seconds=0.05, busy_timeout_ms=busy_timeout)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """An engine on a migrated database."""
    engine = open_engine(settings)
    schema.ensure(engine)
    yield engine
    engine.close()


@pytest.fixture
def make_writer(engine: Engine) -> Iterator[Callable[..., Writer]]:
    """A factory of writers on the engine. Keyword arguments replace the short timeouts of tests."""
    made: list[Writer] = []

    def make(**changes: Any) -> Writer:
        times: dict[str, Any] = {"queue_size": 100, "busy_timeout": 0.2, "retry_delay": 0.05, "write_timeout": 5.0}
        made.append(Writer(engine, **times | changes))
        return made[-1]

    yield make
    for writer in made:
        writer.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for other callers than the test itself."""
    with ThreadPoolExecutor(32) as threads:
        yield threads


@pytest.fixture
def manager(settings: Settings) -> Iterator[DatabaseManager]:
    """A database manager on the test's database."""
    manager = open_database(settings)
    yield manager
    manager.close()


@pytest.fixture
def sessions(manager: DatabaseManager) -> SessionManager:
    """A session manager on that database manager."""
    return SessionManager(manager)
