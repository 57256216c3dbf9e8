"""The container's one global: settings -> database -> managers, built at the first call and kept while it is warm.

A cold start that fails is tried again by the next call. A forked child starts cold: a database connection cannot be
carried across a fork. Neither can it be part of a snapshot (SnapStart).

What the database needs is imported with this module: while Lambda loads a function, it gives it a full processor.
"""

import atexit
import logging
import os
import threading
from contextlib import suppress

import msgspec

from shared.config import Settings
from shared.copies import after_restore, before_snapshot
from shared.database import DatabaseManager, import_for, open_database
from shared.errors import ConfigurationError, DatabaseError
from shared.identity import Identity
from shared.messages import MessageManager
from shared.sessions import SessionManager

log = logging.getLogger(__name__)


class Environment(msgspec.Struct, frozen=True):
    """What a warm container holds."""

    database: DatabaseManager
    sessions: SessionManager
    messages: MessageManager


_lock = threading.Lock()
_environment: Environment | None = None
_identity: Identity | None = None
_left_behind: list[Environment] = []  # of a parent: neither used nor closed in the child


def current() -> Environment:
    """The warm environment; at a cold start it is built. Raises `ConfigurationError`, `DatabaseError`."""
    warm = _environment
    return warm if warm is not None else _start()


def identity() -> Identity:
    """What the settings say of callers; no database is needed for it. Raises `ConfigurationError`."""
    global _identity
    if _identity is None:
        _identity = Identity(Settings.from_environment(os.environ))
    return _identity


def sessions() -> SessionManager:
    """The warm container's session manager."""
    return current().sessions


def messages() -> MessageManager:
    """The warm container's message manager."""
    return current().messages


def reset() -> None:
    """Close the database and forget everything: the next call is a cold start."""
    global _environment, _identity
    with _lock:
        warm, _environment, _identity = _environment, None, None
    if warm is not None:
        warm.database.close()


def _start() -> Environment:
    global _environment
    with _lock:
        if _environment is None:
            settings = Settings.from_environment(os.environ)
            logging.getLogger("shared").setLevel(settings.log_level)
            for name in Settings.unknown(os.environ):
                log.warning("%s is not a setting of this service: is it misspelt?", ascii(name)[1:-1])
            database = open_database(settings)
            manager = SessionManager(
                database,
                settings.cache_size,
                settings.max_staleness_ms,
                settings.max_students,
                end_only_own=bool(settings.end_only_own),
            )
            try:
                manager.load_active_sessions()
            except BaseException:
                database.close()
                raise
            _environment = Environment(database, manager, MessageManager(database, manager))
        return _environment


def _after_fork() -> None:
    global _lock, _environment
    _lock = threading.Lock()
    if _environment is not None:
        _left_behind.append(_environment)
        _environment = None


def _import_for_database() -> None:
    with suppress(ConfigurationError):  # the first call raises it again, and answers with it
        import_for(Settings.from_environment(os.environ).database_url)


def _connect_at_init() -> None:
    try:
        if Settings.from_environment(os.environ).connect_at_init:
            current()
    except (ConfigurationError, DatabaseError) as error:
        log.warning("no database while the functions are loaded, the first call tries again: %s", error)


os.register_at_fork(after_in_child=_after_fork)
before_snapshot(reset)
after_restore(_connect_at_init)
atexit.register(reset)
_import_for_database()
_connect_at_init()
