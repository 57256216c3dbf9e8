"""`copy`: copy a SQLite file into an empty PostgreSQL database.

- The service cannot change the file during the copy, which holds the lock across processes from the first read to the
  last checksum. Writers get `database_busy`; readers go on. Other programs do not use that lock: the checksums detect
  their changes.
- A copy that was killed continues where it stopped when it is run again; see `shared.migrate.target`. If the service
  has written to the file since, the copy starts again, keeps the rows that cannot have changed, and adds the new ones.
- A target with any other rows is refused, unless they are exactly those of the source: then nothing is left to do. A
  second copy into the same target stops the first one.
- At the end every table is read on both sides, and the numbers of rows and the checksums are compared. Only then the
  sessions are counted in the target and the progress mark is removed. From then on the service can use the target.
- The copy does not have what is written to the file later: stop the service before the copy, or switch to the target
  directly after it.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import TextIO

from shared.cli.databases import RefusedError, blaming
from shared.cli.progress import Progress
from shared.config import variable
from shared.migrate.checksums import Digest, digest
from shared.migrate.source import Source
from shared.migrate.tables import TABLES
from shared.migrate.target import Mark, OccupiedError, Target


def copy(source: Source, target: Target, stream: TextIO) -> Iterator[str]:
    """Copy and verify. Yields the lines of the result; progress goes to `stream`. Raises `RefusedError`."""
    with source.unchanging():
        try:
            mark = target.claim(source.identity())
        except OccupiedError:
            if not _same(source, target, stream):
                raise
            yield "Everything is there already: this copy finished before. Nothing was changed."
            return
        if not mark.finished:
            if mark.version != source.version():
                mark = target.restart(mark, source.version())
            mark = _copy(source, target, mark, stream)
            yield from _verify(source, target, stream)
        target.finish(mark)
    yield f"Copied and verified. Set {variable('database_url')} to the target, for every container, and start them."


def _same(source: Source, target: Target, stream: TextIO) -> bool:
    """Whether every table of the target has exactly the rows of the source; it stops at the first that has not."""
    with closing(Progress(stream, "comparing", 2 * source.rows())) as progress:
        for table in TABLES:
            with blaming(source.named):
                expected = digest(source.engine, table, progress.moved)
            with blaming(target.named):
                if digest(target.engine, table, progress.moved) != expected:
                    return False
    return True


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
    """Compare every table. Yields a line with rows and checksum for each. Raises `RefusedError` for differences."""
    wrong: list[str] = []
    found: list[str] = []
    with closing(Progress(stream, "verifying", 2 * source.rows())) as progress:
        for table in TABLES:
            with blaming(source.named):
                expected = digest(source.engine, table, progress.moved)
            with blaming(target.named):
                copied = digest(target.engine, table, progress.moved)
            if copied != expected:
                wrong.append(f"{table.name} ({_difference(expected, copied)})")
            found.append(f"{table.name:<17} {copied.rows:>12,} rows  {copied.checksum}")
    if wrong:
        raise RefusedError(
            f"{target.named}: not the same as the source, so the copy is not finished: {', '.join(wrong)}."
            " Copy again, into an empty database"
        )
    yield from found


def _difference(expected: Digest, copied: Digest) -> str:
    if expected.rows != copied.rows:
        return f"{expected.rows:,} rows there, {copied.rows:,} here"
    return f"{expected.rows:,} rows on both sides, with different checksums"
