"""What PostgreSQL's errors mean to a caller, by SQLSTATE (PostgreSQL documentation, appendix A)."""

import re

import psycopg
from peewee import PeeweeException

from shared import errors
from shared.config import variable

_URL = variable("database_url")

_LOST_RACES = ("40001", "40P01", "55P03")
"""Serialization failure, deadlock, lock timeout."""

_MISSING = ("42P01", "42703", "3F000", "42P10")
"""No such table, column or schema, or no such index for an `ON CONFLICT`."""

_RESTARTS = ("57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "40003", "26000", "0A000")
"""The server stops or starts; it ended a connection that was idle or took too long; it does not know the outcome of
a transaction; a prepared statement is unknown or out of date.
"""

_REFUSALS = (
    (r"authentication failed", f"the server refuses the user or the password in {_URL}"),
    (r"no password supplied", f"the server wants a password in {_URL}"),
    (r"no pg_hba.conf entry|not permitted to log in", f"the server refuses the user in {_URL}"),
    (r'role ".*" does not exist', f"the server does not know the user in {_URL}"),
    (r'database ".*" does not exist|no such database', f"the server does not have the database in {_URL}"),
    (r"invalid (\S+ value|port|integer)|Servname|could not match", f"{_URL} holds a value that cannot be used"),
    (r"permission denied for database", f"the user in {_URL} may not connect to the database"),
)
"""Messages of a server or pooler that refuses a connection for good, and the reason in the service's words."""

_NOT_THE_OWNER = (
    f"the user in {_URL} may not make the service's tables: run `python -m shared.migrate up` as a user who may, and"
    " let this one read and write them"
)

_READ_ONLY = re.compile("read-only|hot standby")
_NO_ROOM = re.compile("too many (clients|connections)|remaining connection slots|no more connections allowed")


def translate(error: BaseException) -> errors.DatabaseError | None:
    """The service's error for an error of the driver; None when the state of the database is not its cause."""
    if isinstance(error, PeeweeException):
        error = getattr(error, "orig", None) or error.__cause__ or error
    if isinstance(error, errors.DatabaseError):
        return error
    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate
    if not state:  # an error of the driver itself, not of the server
        return None if isinstance(error, psycopg.ProgrammingError | psycopg.DataError) else unavailable()
    if state in _LOST_RACES:
        return lost_race()
    if state == "23505":  # another call wrote the same row, or an earlier attempt of this write did
        return lost_race(perhaps_written=True)
    if state in _MISSING:
        return errors.DatabaseSchemaError()
    if state in _RESTARTS or state.startswith("08"):
        return unavailable()
    if state == "25006":
        return read_only()
    if state == "42501" and "schema" in str(error):
        return errors.DatabaseSchemaError(_NOT_THE_OWNER)
    if state == "42501":
        return errors.DatabaseReadOnlyError(f"the user in {_URL} may not write: nothing was written")
    if state == "53100":
        return errors.DatabaseFullError()
    if state == "53300":
        return _transient(errors.DatabaseBusyError("database has no connection left: nothing was written, try again"))
    if state == "57014":
        return errors.DatabaseBusyError()  # the statement reached its time limit and was undone
    if state.startswith("XX"):
        return errors.DatabaseCorruptError() if state in ("XX001", "XX002") else unavailable()
    if state.startswith(("53", "58", "57")):
        return unavailable()
    return None


def refused(error: psycopg.Error) -> errors.DatabaseError:
    """The error for a connection that failed. It does not contain the server's message, which may contain names."""
    texts = [line for line in str(error).splitlines() if line.startswith("- host")] or [str(error)]  # one for each host
    if all(_READ_ONLY.search(text) for text in texts):
        return read_only()
    if any(_NO_ROOM.search(text) for text in texts):
        return _transient(errors.DatabaseBusyError("database has no connection left: nothing was written, try again"))
    for words, reason in _REFUSALS:
        if any(re.search(words, text) for text in texts):
            return errors.DatabaseUnavailableError(f"database is unavailable: {reason}")
    if any("FATAL" in text or _READ_ONLY.search(text) for text in texts):  # it is starting, stopping or being promoted
        return unavailable()
    return unavailable(f"database is unavailable: no server of {_URL} can be reached")


def unavailable(reason: str | None = None) -> errors.DatabaseError:
    """The server cannot be reached now; a retry may reach it, or its successor after a fail-over."""
    return _transient(errors.DatabaseUnavailableError(reason))


def lost_race(*, perhaps_written: bool = False) -> errors.DatabaseError:
    """A concurrent write came first. Nothing was written, unless `perhaps_written`: then a retry has to check."""
    failure = _transient(errors.DatabaseBusyError())
    failure.outcome_unknown = perhaps_written
    return failure


def read_only() -> errors.DatabaseError:
    """The server takes no writes: a replica, or a read-only primary. After a fail-over a retry finds the primary."""
    return _transient(errors.DatabaseReadOnlyError(f"{_URL} names a read-only server: nothing was written"))


def _transient(failure: errors.DatabaseError) -> errors.DatabaseError:
    failure.transient = True
    return failure
