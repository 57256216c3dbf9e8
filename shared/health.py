"""The health report: the state of the database, and what this execution environment holds. `check` never raises."""

from typing import Any, Final

import msgspec

from shared import clock, environment
from shared.errors import ConfigurationError, DatabaseError, InvalidRequestError

HEALTHY: Final = "healthy"
UNHEALTHY: Final = "unhealthy"
CONNECTED: Final = "connected"

_STARTED = clock.elapsed()


class Report(msgspec.Struct):
    """The body of `GET /health`; counts are of this execution environment, `active_sessions` is of the database."""

    status: str
    timestamp: str
    uptime_seconds: float
    active_sessions: int
    database_status: str
    cache: dict[str, int]
    writer: dict[str, Any]


def is_shallow(depth: str) -> bool:
    """Whether only the process is to answer (`live`), not the database too (`full`). Raises `InvalidRequestError`."""
    if depth not in ("full", "live"):
        raise InvalidRequestError("depth: must be full or live")
    return depth == "live"


def check() -> Report:
    """Read the database, compare its schema, and write to it. The report is unhealthy if one of these fails."""
    active, cache, writer, status = 0, {"active_sessions": 0, "cache_size": 0}, {}, CONNECTED
    try:
        current = environment.current()
        cache, writer = current.sessions.get_stats(), current.database.writer_stats()
        active = current.database.count_active_sessions()
        current.database.health_check()
    except (DatabaseError, ConfigurationError) as error:
        status = str(error)
    return Report(
        status=HEALTHY if status == CONNECTED else UNHEALTHY,
        timestamp=clock.now(),
        uptime_seconds=round(clock.elapsed() - _STARTED, 3),
        active_sessions=active,
        database_status=status,
        cache=cache,
        writer=writer,
    )
