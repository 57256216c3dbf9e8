"""Digests of tables, to compare two databases: the number of rows, and a checksum over every column of each row."""

from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from shared.engines import Engine, Row
from shared.migrate.tables import Table

_BYTES = 16
_encode = msgspec.json.Encoder().encode


class Digest(NamedTuple):
    """The number of rows of a table, and the sum of the digests of all rows.

    A sum does not depend on the order of the rows: engines sort text differently. Unlike an exclusive or, it also
    changes when a row is there twice.
    """

    rows: int = 0
    total: int = 0

    @property
    def checksum(self) -> str:
        """The sum as hexadecimal text."""
        return f"{self.total:0{2 * _BYTES}x}"

    def plus(self, rows: int, total: int) -> "Digest":
        """The digest that includes these rows."""
        return Digest(self.rows + rows, (self.total + total) % 2 ** (8 * _BYTES))


def digest(engine: Engine, table: Table, moved: Callable[[int], None]) -> Digest:
    """Read a whole table, page by page; call `moved` with the rows of each. Raises the `DatabaseError` family."""
    found = Digest()
    after: Row = ()
    while True:
        statement = table.page(engine.kind, after=bool(after))
        rows, total, last = engine.walk(statement, after, _add)
        if not rows:
            return found
        found, after = found.plus(rows, total), last[: table.key]
        moved(rows)


def _add(rows: Iterator[Row]) -> tuple[int, int, Row]:
    number = total = 0
    row: Row = ()
    for number, row in enumerate(rows, 1):  # noqa: B007
        total += int.from_bytes(blake2b(_encode(row), digest_size=_BYTES).digest(), "big")
    return number, total, row
