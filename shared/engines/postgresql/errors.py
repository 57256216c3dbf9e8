"""What PostgreSQL's errors mean to a caller, by SQLSTATE (PostgreSQL documentation, appendix A)."""

import re

import psycopg
from peewee import PeeweeException

from shared import errors
from shared.config import variable

_URL = variable("database_url")

_LOST_RACES = ("40001", "40P01", "55P03")
"""Serialization failure, deadlock, a lock that somebody else holds."""

_MISSING = ("42P01", "42703", "3F000", "42P10")
"""No such table, column or schema, or no such index behind an `ON CONFLICT`."""

_RESTARTS = ("57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "40003", "26000", "0A000")
"""The server goes down, comes up or ends a connection that was idle or took long; a transaction was lost sight of; a
prepared statement was forgotten or outdated.
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
"""What a server, or a pooler, says to whom it will never let in."""

_NOT_THE_OWNER = (
    f"the user in {_URL} may not make the service's tables: run `python -m shared.migrate up` as a user who may, and"
    " let this one read and write them"
)

_READ_ONLY = re.compile("read-only|hot standby")
_NO_ROOM = re.compile("too many (clients|connections)|remaining connection slots|no more connections allowed")


def translate(error: BaseException) -> errors.DatabaseError | None:
    """The contract's error for a driver's; None when it is no matter of the database's state."""
    if isinstance(error, PeeweeException):
        error = getattr(error, "orig", None) or error.__cause__ or error
    if isinstance(error, errors.DatabaseError):
        return error
    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate
    if not state:  # the driver's own: no server said it
        return None if isinstance(error, psycopg.ProgrammingError | psycopg.DataError) else unavailable()
    if state in _LOST_RACES:
        return lost_race()
    if state == "23505":  # somebody else wrote the same, or an attempt before this one did
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
        return errors.DatabaseBusyError()  # it ran into its time limit and was undone
    if state.startswith("XX"):
        return errors.DatabaseCorruptError() if state in ("XX001", "XX002") else unavailable()
    if state.startswith(("53", "58", "57")):
        return unavailable()
    return None


def refused(error: psycopg.Error) -> errors.DatabaseError:
    """Why no connection came about. The server's words may hold names, so they go to the log alone."""
    said = [line for line in str(error).splitlines() if line.startswith("- host")] or [str(error)]  # by each host
    if all(_READ_ONLY.search(text) for text in said):
        return read_only()
    if any(_NO_ROOM.search(text) for text in said):
        return _transient(errors.DatabaseBusyError("database has no connection left: nothing was written, try again"))
    for words, reason in _REFUSALS:
        if any(re.search(words, text) for text in said):
            return errors.DatabaseUnavailableError(f"database is unavailable: {reason}")
    if any("FATAL" in text or _READ_ONLY.search(text) for text in said):  # coming up, going down, about to take over
        return unavailable()
    return unavailable(f"database is unavailable: no server of {_URL} can be reached")


def unavailable(reason: str | None = None) -> errors.DatabaseError:
    """Not to be had at the moment; another attempt may find it, or its successor."""
    return _transient(errors.DatabaseUnavailableError(reason))


def lost_race(*, perhaps_written: bool = False) -> errors.DatabaseError:
    """Somebody else wrote the same at the same time; nothing was written, or another attempt has to look."""
    failure = _transient(errors.DatabaseBusyError())
    failure.outcome_unknown = perhaps_written
    return failure


def read_only() -> errors.DatabaseError:
    """A replica, or a primary that was told to refuse writes; after a fail-over it may be the wrong server only."""
    return _transient(errors.DatabaseReadOnlyError(f"{_URL} names a read-only server: nothing was written"))


def _transient(failure: errors.DatabaseError) -> errors.DatabaseError:
    failure.transient = True
    return failure
