"""The databases that a command works on, and what it tells its user when one of them will not do."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.config import Settings, variable
from shared.engines import Engine, open_engine
from shared.errors import SwitchboardError


class RefusedError(Exception):
    """Why a command cannot do what it was asked for: one line for its user, which names no secret."""


@contextmanager
def opened(settings: Settings, named: str) -> Iterator[Engine]:
    """The settings' database, closed afterwards. `named` is the setting or option that the URL came from."""
    with blaming(named):
        engine = open_engine(settings)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def blaming(named: str) -> Iterator[None]:
    """Turn the service's errors into a `RefusedError` that begins with the setting or option to look at."""
    try:
        yield
    except SwitchboardError as error:
        setting, reason = variable("database_url"), str(error)
        raise RefusedError(reason.replace(setting, named) if setting in reason else f"{named}: {reason}") from error
