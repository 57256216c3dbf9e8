"""Batches: as many rows as one transaction of a distributed engine can bear, and none left out."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from shared.config import Settings
from shared.engines import Row
from shared.engines.sqlite.engine import SqliteEngine
from shared.migrate.source import Source
from shared.migrate.tables import MESSAGES
from tests.conftest import open_classroom
from tests.migrate.commands import rows_of
from tests.storage import Storage

ROWS, BYTES = 3000, 8_000_000


@pytest.fixture
def source(storage: Storage) -> Iterator[Source]:
    """A session with many small messages and, in their midst, some that are as large as they may be."""
    room = open_classroom()
    room.say("first")
    columns = "'analytics', 'general', 'ann', NULL, '2026-11-22T08:00:00.000000Z'"
    content = "json_object('text', iif(value BETWEEN 2500 AND 2900, replace(hex(zeroblob(16000)), '00', '😀'), value))"
    id_ = "printf('01a2040b-0000-7000-8000-%012d', value)"
    numbers = "WITH numbers (value) AS (SELECT 2 UNION ALL SELECT value + 1 FROM numbers WHERE value < 6000)"
    storage.run(f"{numbers} INSERT INTO messages SELECT '{room.id}', value, {id_}, {columns}, {content} FROM numbers")
    with closing(SqliteEngine(Settings(database_url=storage.url))) as engine:
        yield Source(engine, "--from")


def batches(source: Source) -> Iterator[list[Row]]:
    """All of them."""
    after: Row = ()
    while batch := source.batch(MESSAGES, after):
        after = batch[-1][: MESSAGES.key]
        yield batch


def test_every_row_is_in_one_batch_and_no_batch_is_too_large(source: Source, storage: Storage) -> None:
    found = list(batches(source))
    assert [row for batch in found for row in batch] == rows_of(storage, "messages")
    assert max(map(len, found)) < ROWS  # one row more moves the mark
    assert max(sum(len(str(value).encode()) for row in batch for value in row) for batch in found) < BYTES
    assert len(found) < 20
