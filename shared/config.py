"""The service's settings: environment variables with the prefix `SWITCHBOARD_`, read on first use, documented here."""

import os
from collections.abc import Mapping
from typing import Annotated, Literal, get_args, get_type_hints

import msgspec

from shared.errors import ConfigurationError

Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class Settings(msgspec.Struct, frozen=True):
    """One field a variable: `database_url` is read from `SWITCHBOARD_DATABASE_URL`, and so on.

    database_url           `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgresql://user:password@host/database`
    synchronous            SQLite's durability: NORMAL (only a power cut can lose the last writes) or FULL
    busy_timeout_ms        how long a write waits for another program's lock, and a read for a server
    retry_delay_seconds    how long a write waits before its only retry after a busy database or an I/O error
    write_timeout_seconds  how long a caller waits for its write, retry included; less than the function's timeout
    queue_size             how many writes may wait in this process
    max_students           how many students a session may have, without duplicates; 10,000 at most
    cache_size             how many sessions' rosters a container keeps
    max_staleness_ms       how old the status may be that `validate` uses; 0: it reads the status each time
    log_level              DEBUG, INFO, WARNING or ERROR
    """

    database_url: str = "sqlite:///switchboard.db"
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    busy_timeout_ms: Milliseconds = 5000
    retry_delay_seconds: Seconds = 5.0
    write_timeout_seconds: Seconds = 25.0
    queue_size: Count = 1000
    max_students: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1000
    cache_size: Count = 1000
    max_staleness_ms: Milliseconds = 0
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read every variable that is set; raise `ConfigurationError` for a value that cannot be used."""
        texts = {name: environment.get(variable(name), "").strip() for name in cls.__struct_fields__}
        try:
            return msgspec.convert({name: text for name, text in texts.items() if text}, cls, strict=False)
        except msgspec.ValidationError as error:
            problem, _, name = str(error).replace("`", "").partition(" - at $.")
            choices = ", ".join(map(str, get_args(get_type_hints(cls)[name])))
            raise ConfigurationError(
                f"{variable(name)}: " + (f"must be one of {choices}" if choices else problem[0].lower() + problem[1:])
            ) from None

    @classmethod
    def unknown(cls, environment: Mapping[str, str] = os.environ) -> list[str]:
        """Variables with the prefix that are no settings: misspelt ones, most likely."""
        known = {variable(name) for name in cls.__struct_fields__}
        return sorted(name for name in environment if name.startswith(variable("")) and name not in known)


def variable(field_name: str) -> str:
    """The environment variable of a field."""
    return f"SWITCHBOARD_{field_name.upper()}"
