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
from functools import cached_property
from typing import TYPE_CHECKING

from shared.config import Settings
from shared.copies import after_restore, before_snapshot
from shared.database import DatabaseManager, import_for, open_database
from shared.engines import kind_of
from shared.entities import Lease
from shared.errors import ConfigurationError, DatabaseError, LiveUnavailableError
from shared.identity import Identity
from shared.messages import MessageManager
from shared.sessions import SessionManager

if TYPE_CHECKING:
    from shared.live.classroom import LiveClassroom, Platform
    from shared.live.connections import ConnectionManager

log = logging.getLogger(__name__)

CONNECTIONS_ENDPOINT = "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"
"""The variable by which AWS's SDKs, and the emulator, name another `@connections` API than the settings."""


class Environment:
    """What a warm container holds. Its live parts are built when a call needs them."""

    def __init__(self, settings: Settings, database: DatabaseManager) -> None:
        self._settings = settings
        self.database = database
        hook = _hand_over if _is_live(settings) else None
        self.sessions = SessionManager(
            database,
            settings.cache_size,
            settings.max_staleness_ms,
            settings.max_students,
            end_only_own=bool(settings.end_only_own),
            ended=hook,
        )
        self.messages = MessageManager(database, self.sessions, hook)

    @cached_property
    def connections(self) -> "ConnectionManager":
        """Who is connected."""
        from shared.live.connections import ConnectionManager
        from shared.live.database import LiveDatabase

        return ConnectionManager(self.database.part(LiveDatabase), self.sessions)

    @cached_property
    def live(self) -> "LiveClassroom":
        """The live side. Raises `ConfigurationError`, and `LiveUnavailableError` when no WebSocket API is set up."""
        if not _is_live(self._settings):
            raise LiveUnavailableError("no WebSocket API is set up")
        from shared.live.classroom import LiveClassroom

        return LiveClassroom(self.database, self.sessions, self.connections, open_platform(self._settings))

    def close(self) -> None:
        """Close the database, and end threads."""
        if "live" in self.__dict__:
            self.live.close()
        self.database.close()


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


def connections() -> "ConnectionManager":
    """The warm container's connection manager."""
    return current().connections


def live() -> "LiveClassroom":
    """The warm container's live side. Raises `LiveUnavailableError` when no WebSocket API is set up."""
    return current().live


def reset() -> None:
    """Close the database and forget everything: the next call is a cold start."""
    global _environment, _identity
    with _lock:
        warm, _environment, _identity = _environment, None, None
    if warm is not None:
        warm.close()


def open_platform(settings: Settings) -> "Platform":
    """AWS, as the settings and its own variables name it. Raises `ConfigurationError`."""
    from shared.live.aws import AwsConnections, AwsFunctions
    from shared.live.classroom import Platform

    connections, functions = AwsConnections(settings.connections_url), AwsFunctions()
    return Platform(connections, functions, settings.deliver_function, settings.replay_function)


def _is_live(settings: Settings) -> bool:
    return bool(settings.connections_url or os.environ.get(CONNECTIONS_ENDPOINT))


def _hand_over(lease: Lease) -> None:
    """Make another invocation deliver what this one has committed; never raises."""
    try:
        current().live.hand_over(lease)
    except Exception:
        log.exception("the delivery for session %s is left to the next one", lease.session_id)


def _start() -> Environment:
    global _environment
    with _lock:
        if _environment is None:
            settings = Settings.from_environment(os.environ)
            logging.getLogger("shared").setLevel(settings.log_level)
            for name in Settings.unknown(os.environ):
                log.warning("%s is not a setting of this service: is it misspelt?", ascii(name)[1:-1])
            database = open_database(settings)
            started = Environment(settings, database)
            try:
                started.sessions.load_active_sessions()
            except BaseException:
                database.close()
                raise
            _environment = started
        return _environment


def _after_fork() -> None:
    global _lock, _environment
    _lock = threading.Lock()
    if _environment is not None:
        _left_behind.append(_environment)
        _environment = None


def import_connections() -> None:
    """Import what `connections` needs. A function that uses it calls this while it is loaded."""
    from shared.live import connections, database  # noqa: F401
    from shared.live.writes import live_classes_for

    with suppress(ConfigurationError):  # the first call raises it again, and answers with it
        live_classes_for(kind_of(Settings.from_environment(os.environ).database_url))


def import_live() -> None:
    """Import what `live` needs, if a WebSocket API is set up. A function that uses it calls this while it is loaded."""
    with suppress(ConfigurationError):
        if _is_live(Settings.from_environment(os.environ)):
            from shared.live import classroom  # noqa: F401
            from shared.live.aws import api  # noqa: F401

            import_connections()


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
