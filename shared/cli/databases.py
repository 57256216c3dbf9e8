"""Opening the databases of a command, and the errors that the user of the command sees."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.config import Settings, variable
from shared.engines import Engine, open_engine
from shared.errors import SwitchboardError


class RefusedError(Exception):
    """Why a command cannot do its work: one line for the user, without secrets."""


@contextmanager
def opened(settings: Settings, named: str) -> Iterator[Engine]:
    """The engine of these settings; it is closed at the end. `named` is the setting or option with the URL."""
    with blaming(named):
        engine = open_engine(settings)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def blaming(named: str) -> Iterator[None]:
    """Turn the service's errors into a `RefusedError` that names the setting or option to look at."""
    try:
        yield
    except SwitchboardError as error:
        setting, reason = variable("database_url"), str(error)
        raise RefusedError(reason.replace(setting, named) if setting in reason else f"{named}: {reason}") from error
