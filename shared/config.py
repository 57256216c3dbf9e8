"""The service's settings: environment variables with the prefix `SWITCHBOARD_`, read on first use, documented here."""

import os
from collections.abc import Mapping
from typing import Annotated, Literal, get_args, get_type_hints

import msgspec

from shared.errors import ConfigurationError
from shared.shapes import prepared

Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]

LTI_ROLES = "https://purl.imsglobal.org/spec/lti/claim/roles"
_LTI_MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership"
INSTRUCTOR_ROLES = (
    "instructor",
    "Instructor",
    "teacher",
    "Teacher",
    f"{_LTI_MEMBERSHIP}#Instructor",
    f"{_LTI_MEMBERSHIP}#Administrator",
    f"{_LTI_MEMBERSHIP}/Instructor#TeachingAssistant",
)
"""Roles of a course, as identity providers and LTI 1.3 (Core, appendix A.2) name them."""


@prepared
class Settings(msgspec.Struct, frozen=True):
    """One field a variable: `database_url` is read from `SWITCHBOARD_DATABASE_URL`, and so on.

    database_url           `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgresql://user:password@host/database`
    synchronous            SQLite's durability: NORMAL (only a power cut can lose the last writes) or FULL
    busy_timeout_ms        how long a write waits for another program's lock, and a read for a server
    retry_delay_seconds    how long a write waits before its only retry after a busy database or an I/O error
    write_timeout_seconds  how long a caller waits for its write, retry included; less than the function's timeout
    queue_size             how many writes may wait in this process
    connect_at_init        1: connect when the functions are loaded, not in the first call
    max_students           how many students a session may have, without duplicates; 10,000 at most
    cache_size             how many sessions' rosters a container keeps
    max_staleness_ms       how old the status may be that `validate` uses; 0: it reads the status each time
    log_level              DEBUG, INFO, WARNING or ERROR
    identity               trust: a request says who calls; claims: every call needs a verified caller
    issuers                the accepted issuers of tokens, separated by commas; compared exactly
    audiences              the accepted audiences (or client ids) of tokens, separated by commas
    token_secrets          the accepted secrets of HS256 tokens, separated by commas; at least 32 bytes each
    user_claim             the claim that names the user
    role_claim             the claims that hold roles, separated by commas
    instructor_roles       the roles that make a caller an instructor, separated by commas; everybody else is a student
    messages_per_minute    how many messages one user may send within a minute; 0: any number. Without a value 100 under
                           `identity=claims`, else any number
    end_only_own           1: an instructor may end only sessions that the same instructor created
    purge_after_days       the function `purge` deletes sessions that ended so many days ago; 0: it deletes nothing
    connections_url        the WebSocket API's `https` URL with its stage; without it nobody can connect
    deliver_function       the deployed name of the function `deliver`
    replay_function        the deployed name of the function `replay`
    """

    database_url: str = "sqlite:///switchboard.db"
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    busy_timeout_ms: Milliseconds = 5000
    retry_delay_seconds: Seconds = 5.0
    write_timeout_seconds: Seconds = 25.0
    queue_size: Count = 1000
    connect_at_init: Literal[0, 1] = 0
    max_students: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1000
    cache_size: Count = 1000
    max_staleness_ms: Milliseconds = 0
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    identity: Literal["trust", "claims"] = "trust"
    issuers: str = ""
    audiences: str = ""
    token_secrets: str = ""
    user_claim: str = "sub"
    role_claim: str = f"roles,cognito:groups,{LTI_ROLES}"
    instructor_roles: str = ",".join(INSTRUCTOR_ROLES)
    messages_per_minute: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    end_only_own: Literal[0, 1] = 0
    purge_after_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 0
    connections_url: str = ""
    deliver_function: str = "switchboard-sessions-dev-deliver"
    replay_function: str = "switchboard-sessions-dev-replay"

    @property
    def message_limit(self) -> int:
        """How many messages one user may send within a minute; 0 is no limit."""
        if self.messages_per_minute is not None:
            return self.messages_per_minute
        return 100 if self.identity == "claims" else 0

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


def listed(text: str) -> tuple[str, ...]:
    """The values of a setting that holds several, separated by commas."""
    return tuple(part for value in text.split(",") if (part := value.strip()))


def variable(field_name: str) -> str:
    """The environment variable of a field."""
    return f"SWITCHBOARD_{field_name.upper()}"
