"""The commands `status`, `up` and `check`. Each yields lines for standard output, and may end with a `RefusedError`."""

from collections.abc import Iterator

from shared.cli.databases import RefusedError, blaming
from shared.engines import Engine
from shared.migrations import schema

_LOCK_TIMEOUT = 600.0  # seconds that `up` waits for another process that is migrating; no request waits for `up`


def status(engine: Engine, named: str) -> Iterator[str]:
    """A line for each migration: `applied`, `pending` or `newer`, its name, and when. Raises `RefusedError`."""
    with blaming(named):
        for migration in schema.migrations(engine):
            state = "pending" if migration.applied is None else "applied" if migration.known else "newer"
            yield f"{state:<8} {migration.name:<24} {migration.applied or ''}".rstrip()
        schema.pending(engine)  # raises if the schema is newer than this version


def up(engine: Engine, named: str) -> Iterator[str]:
    """Apply the pending migrations; several `up` at once are safe. Raises `RefusedError`."""
    with blaming(named):
        applied = schema.ensure(engine, _LOCK_TIMEOUT)
    if not applied:
        yield "nothing is pending"
    for name in applied:
        yield f"applied  {name}"


def check(engine: Engine, named: str) -> Iterator[str]:
    """Compare the schema with what this version needs: migrations, tables, indexes. Raises `RefusedError`."""
    wrong = differences(engine, named)
    yield from wrong or ["the schema is what this version needs"]
    if wrong:
        raise RefusedError(f"{named}: the schema is not what this version needs")


def differences(engine: Engine, named: str) -> list[str]:
    """How the schema differs from what this version needs. Raises `RefusedError`."""
    with blaming(named):
        pending = [f"pending  {name}" for name in schema.pending(engine)]
        return pending + (schema.difference(engine).splitlines() if engine.exists() else [])
