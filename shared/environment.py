"""The container's one global: settings -> database -> managers, built at the first call and kept while it is warm.

A cold start that fails is tried again by the next call. A forked child starts cold: a database connection cannot be
carried across a fork.
"""

import atexit
import logging
import os
import threading

import msgspec

from shared.config import Settings
from shared.database import DatabaseManager, open_database
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


os.register_at_fork(after_in_child=_after_fork)
atexit.register(reset)
