"""What `status`, `up` and `check` do and say: lines for standard output, then perhaps a `RefusedError`."""

from collections.abc import Iterator

from shared.engines import Engine
from shared.migrate.databases import RefusedError, blaming
from shared.migrations import schema

_PATIENCE = 600.0  # seconds that `up` waits for another one; nobody's request waits for it


def status(engine: Engine, named: str) -> Iterator[str]:
    """Every migration, `applied`, `pending` or `newer`, with the time when it was applied. Raises `RefusedError`."""
    with blaming(named):
        for migration in schema.migrations(engine):
            state = "pending" if migration.applied is None else "applied" if migration.known else "newer"
            yield f"{state:<8} {migration.name:<24} {migration.applied or ''}".rstrip()
        schema.pending(engine)  # for its refusal of a newer schema


def up(engine: Engine, named: str) -> Iterator[str]:
    """Apply what is pending; several at once are safe. Raises `RefusedError`."""
    with blaming(named):
        applied = schema.ensure(engine, _PATIENCE)
    if not applied:
        yield "nothing is pending"
    for name in applied:
        yield f"applied  {name}"


def check(engine: Engine, named: str) -> Iterator[str]:
    """Whether the schema is what this version needs, tables, columns and indexes included. Raises `RefusedError`."""
    wrong = differences(engine, named)
    yield from wrong or ["the schema is what this version needs"]
    if wrong:
        raise RefusedError(f"{named}: the schema is not what this version needs")


def differences(engine: Engine, named: str) -> list[str]:
    """What the schema lacks or has too much. Raises `RefusedError`."""
    with blaming(named):
        pending = [f"pending  {name}" for name in schema.pending(engine)]
        return pending + (schema.difference(engine).splitlines() if engine.exists() else [])
