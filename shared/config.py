"""The service's settings: environment variables with the prefix `SWITCHBOARD_`, read on first use, documented here."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from shared.errors import ConfigurationError


@dataclass(frozen=True)
class Settings:
    """One field a variable: `database_url` is read from `SWITCHBOARD_DATABASE_URL`, and so on.

    database_url           `sqlite:///relative.db` or `sqlite:////absolute.db`
    synchronous            SQLite's durability: NORMAL (a power cut may cost the last writes, nothing else does) or FULL
    busy_timeout_ms        how long to wait for a database lock that a foreign program holds
    retry_delay_seconds    how long a write that failed for a passing reason waits before its only retry
    write_timeout_seconds  how long a caller waits for its write, retry included; keep it below the function's timeout
    queue_size             how many writes may wait in this process
    cache_size             how many sessions' rosters a container keeps
    log_level              DEBUG, INFO, WARNING or ERROR
    """

    database_url: str = "sqlite:///switchboard.db"
    synchronous: str = "NORMAL"
    busy_timeout_ms: int = 5000
    retry_delay_seconds: float = 5.0
    write_timeout_seconds: float = 25.0
    queue_size: int = 1000
    cache_size: int = 1000
    log_level: str = "INFO"

    def __post_init__(self) -> None:
        _one_of("synchronous", self.synchronous, ("NORMAL", "FULL"))
        _one_of("log_level", self.log_level, ("DEBUG", "INFO", "WARNING", "ERROR"))
        _at_least("busy_timeout_ms", self.busy_timeout_ms, 0)
        _at_least("retry_delay_seconds", self.retry_delay_seconds, 0)
        _at_least("write_timeout_seconds", self.write_timeout_seconds, 0)
        _at_least("queue_size", self.queue_size, 1)
        _at_least("cache_size", self.cache_size, 1)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read every variable that is set; raise `ConfigurationError` for a value that cannot be used."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            text = environment.get(variable(field.name), "").strip()
            if text:
                values[field.name] = _parse(field.name, text, type(field.default))
        return cls(**values)


def variable(field_name: str) -> str:
    """The environment variable of a field."""
    return f"SWITCHBOARD_{field_name.upper()}"


def _parse(name: str, text: str, kind: type[Any]) -> Any:
    if kind is str:
        return text
    try:
        return kind(text)
    except ValueError:
        raise ConfigurationError(f"{variable(name)} must be a number") from None


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigurationError(f"{variable(name)} must be one of {', '.join(allowed)}")


def _at_least(name: str, value: float, least: float) -> None:
    if not least <= value < float("inf"):
        raise ConfigurationError(f"{variable(name)} must be a finite number of at least {least}")
