"""Copies of databases that are in use: SQLite by its backup, PostgreSQL by `pg_dump` and `pg_restore`.

Each copy is made in a process of its own. SQLite demands it: functions that run in this process may have the same file
open with another build of SQLite, whose locks would be lost when this one closes the file.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from emulator.manifest.model import Function, Manifest

SECONDS = 120
"""How long a copy may take."""
_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_POSTGRESQL = ("postgres://", "postgresql://")
_COPY = """import sqlite3, sys, urllib.parse
source = "file:" + urllib.parse.quote(sys.argv[1]) + "?mode=ro"
target = "file:" + urllib.parse.quote(sys.argv[2]) + "?mode=" + sys.argv[3]
try:
    before, after = (sqlite3.connect(one, uri=True, timeout=30) for one in (source, target))
    before.backup(after, sleep=0.05)
    after.close()
    before.close()
except sqlite3.Error as error:
    sys.exit(str(error))
"""


class CopyError(Exception):
    """A database that cannot be copied; the text says why."""


class Database(NamedTuple):
    """A database that the manifest's environment names."""

    kind: str
    """`sqlite` or `postgresql`."""
    place: str
    """The path of a SQLite file, the URL of a PostgreSQL database."""
    variable: str


def of_manifest(manifest: Manifest, extra: Mapping[str, str]) -> list[Database]:
    """The databases in the environments of the functions; `extra` are the variables that every function has besides."""
    found: dict[str, Database] = {}
    for function in manifest.functions.values():
        for variable, value in {**function.environment, **extra}.items():
            if database := _database(variable, value, manifest, function):
                found.setdefault(database.place, database)
    return list(found.values())


def _database(variable: str, value: str, manifest: Manifest, function: Function) -> Database | None:
    if value.startswith(_POSTGRESQL):
        return Database("postgresql", value, variable)
    if value.startswith("sqlite:///"):
        path = unquote(value.removeprefix("sqlite:///").partition("?")[0])
    elif value.endswith(_SUFFIXES) and "://" not in value:
        path = value
    else:
        return None
    if not path or path.startswith(":"):
        return None
    return Database("sqlite", str((manifest.root(function) / path).resolve()), variable)


async def save(database: Database, file: Path) -> None:
    """Write a copy of the whole database, as it is at one moment. Raises CopyError."""
    if database.kind == "sqlite":
        await _sqlite(database.place, str(file), "rwc")
    else:
        await _postgresql("pg_dump", database, "--format=custom", "--no-owner", f"--file={file}")


async def load(database: Database, file: Path) -> None:
    """Put a copy into the place of what the database has, in one transaction. Raises CopyError."""
    if database.kind == "sqlite":
        await _sqlite(str(file), database.place, "rwc")
    else:
        options = ("--clean", "--if-exists", "--no-owner", "--single-transaction", "--exit-on-error", str(file))
        await _postgresql("pg_restore", database, *options)


async def _sqlite(source: str, target: str, mode: str) -> None:
    if not Path(source).exists():
        raise CopyError(f"{source} does not exist")
    await _run([sys.executable, "-I", "-c", _COPY, source, target, mode], {})


async def _postgresql(program: str, database: Database, *options: str) -> None:
    path = shutil.which(program)
    if path is None:
        raise CopyError(f"{program} is not installed: on Debian, apt-get install postgresql-client")
    url, password = _without_password(database.place)
    await _run([path, f"--dbname={url}", *options], {"PGPASSWORD": password} if password else {})


def _without_password(url: str) -> tuple[str, str]:
    """The URL without its password, which a list of processes would show, and the password."""
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    name, _, password = user.partition(":")
    return (url.replace(f"{user}@", f"{name}@", 1), unquote(password)) if at and password else (url, "")


async def _run(command: list[str], environ: Mapping[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, told = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        raise CopyError(f"the copy was not done after {SECONDS} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise CopyError(told.decode(errors="replace").strip() or f"exit status {process.returncode}")
