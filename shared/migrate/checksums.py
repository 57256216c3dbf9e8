"""Whether two databases hold the same rows: their number, and a checksum over every column of each."""

from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from shared.engines import Engine, Row
from shared.migrate.tables import Table

_BYTES = 16
_encode = msgspec.json.Encoder().encode


class Digest(NamedTuple):
    """The rows of a table, how many and which.

    The sum of every row's own digest: engines differ in the order of texts, so no order may matter; and unlike with an
    exclusive or, a row that is there twice does not vanish.
    """

    rows: int = 0
    total: int = 0

    @property
    def checksum(self) -> str:
        """The sum, for people."""
        return f"{self.total:0{2 * _BYTES}x}"

    def plus(self, rows: int, total: int) -> "Digest":
        """The digest of these rows too."""
        return Digest(self.rows + rows, (self.total + total) % 2 ** (8 * _BYTES))


def digest(engine: Engine, table: Table, moved: Callable[[int], None]) -> Digest:
    """Read a whole table, page by page; `moved` is told how many rows each has. Raises the `DatabaseError` family."""
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
