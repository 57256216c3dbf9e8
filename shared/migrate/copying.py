"""`copy`: a SQLite file moved into an empty PostgreSQL database.

- The file does not change meanwhile: the copy holds the service's lock across processes from its first look to the last
  checksum. Writers are told `database_busy`, readers go on. Foreign programs do not know that lock; what they change is
  found by the checksums.
- Killed at any moment, the copy goes on where it stopped when it is run again: see `shared.migrate.target`. Where the
  service wrote to the file in between, it begins anew, keeps what cannot have changed, and copies what is new.
- A target that holds anything else is refused, and a second copy into the same one stops the first.
- In the end each table is read from both sides, and their rows are counted and compared by checksum. Only then are the
  sessions counted in the target and the mark removed: from then on it is a database like any other.
- What ended or was stored in the file after the copy is not in the target: stop the service before, or switch to the
  target right after.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import TextIO

from shared.config import variable
from shared.migrate.checksums import Digest, digest
from shared.migrate.databases import RefusedError, blaming
from shared.migrate.progress import Progress
from shared.migrate.source import Source
from shared.migrate.tables import TABLES
from shared.migrate.target import Mark, Target


def copy(source: Source, target: Target, stream: TextIO) -> Iterator[str]:
    """Copy and verify: what to tell at the end, line by line; progress goes to `stream`. Raises `RefusedError`."""
    with source.unchanging():
        mark = target.claim(source.identity())
        if not mark.finished:
            if mark.version != source.version():
                mark = target.restart(mark, source.version())
            mark = _copy(source, target, mark, stream)
            yield from _verify(source, target, stream)
        target.finish(mark)
    yield f"Copied and verified. Set {variable('database_url')} to the target, for every container, and start them."


def _copy(source: Source, target: Target, mark: Mark, stream: TextIO) -> Mark:
    with closing(Progress(stream, "copying", source.rows(), mark.copied)) as progress:
        names = [table.name for table in TABLES]
        begun = names.index(mark.stage) if mark.stage else 0
        for table in TABLES[begun:]:
            key = mark.key if table.name == mark.stage else ()
            while rows := source.batch(table, key):
                mark = mark.moved(table, rows)
                target.add(table, rows, mark)
                progress.moved(len(rows))
                key = mark.key
    return mark


def _verify(source: Source, target: Target, stream: TextIO) -> Iterator[str]:
    """Compare every table; the rows and the checksum of each that is the same. Raises `RefusedError`."""
    wrong: list[str] = []
    found: list[str] = []
    with closing(Progress(stream, "verifying", 2 * source.rows())) as progress:
        for table in TABLES:
            with blaming(source.named):
                expected = digest(source.engine, table, progress.moved)
            with blaming(target.named):
                copied = digest(target.engine, table, progress.moved)
            if copied != expected:
                wrong.append(f"{table.name} ({_unlike(expected, copied)})")
            found.append(f"{table.name:<17} {copied.rows:>12,} rows  {copied.checksum}")
    if wrong:
        raise RefusedError(
            f"{target.named}: not the same as the source, so the copy is not finished: {', '.join(wrong)}."
            " Copy again, into an empty database"
        )
    yield from found


def _unlike(expected: Digest, copied: Digest) -> str:
    if expected.rows != copied.rows:
        return f"{expected.rows:,} rows there, {copied.rows:,} here"
    return f"{expected.rows:,} rows on both sides, with different checksums"
