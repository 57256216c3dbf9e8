"""Snapshots: copies of a project's databases, to go back to while the emulator serves."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulator.containers import stamp
from emulator.service import database_copies
from emulator.service.database_copies import CopyError, Database
from emulator.service.project import Project

FOLDER = ".emulator-snapshots"
"""Beside the manifest."""
_ABOUT = "snapshot.json"
_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class SnapshotError(Exception):
    """A snapshot that cannot be made or loaded; the text says why."""


class Snapshots:
    """Saves, loads and lists the snapshots of a project, one after another."""

    def __init__(self, project: Project, extra: Mapping[str, str]) -> None:
        """`extra` are the variables that every function has besides those of the manifest."""
        self._project = project
        self._extra = extra
        self._lock = asyncio.Lock()

    def known(self) -> list[dict[str, Any]]:
        """Every snapshot, the oldest first: its name, its time and the variables that name its databases."""
        found = [about for folder in self._folder().glob("*") if (about := _about(folder))]
        return sorted(found, key=lambda one: str(one["time"]))

    async def save(self, name: str, *, replace: bool = False) -> dict[str, Any]:
        """Copy every database. A snapshot of this name is refused, or replaced if told so. Raises SnapshotError."""
        target = self._place(name)
        async with self._lock:
            if target.exists() and not replace:
                raise SnapshotError(f"there is a snapshot {name} already")
            databases = self._databases()
            self._folder().mkdir(exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=".", dir=self._folder()))
            try:
                about = await self._copy(databases, made, name)
                if target.exists():
                    shutil.rmtree(target)
                made.rename(target)
            except BaseException:
                shutil.rmtree(made, ignore_errors=True)
                raise
        return about

    async def load(self, name: str) -> dict[str, Any]:
        """Put every database back, and let the functions start anew. Raises SnapshotError."""
        folder = self._place(name)
        about = _about(folder)
        if about is None:
            raise SnapshotError(f"there is no snapshot {name}")
        async with self._lock:
            saved = {(one["kind"], one["variable"]): folder / one["file"] for one in about["databases"]}
            databases = self._databases()
            if strange := [one.variable for one in databases if (one.kind, one.variable) not in saved]:
                raise SnapshotError(f"the snapshot {name} has no copy for {strange[0]}")
            for database in databases:
                await _told(database_copies.load(database, saved[database.kind, database.variable]), database)
            self._project.functions.containers.replace(self._project.manifest)
        return about

    async def _copy(self, databases: list[Database], folder: Path, name: str) -> dict[str, Any]:
        time, kept = self._project.clock.time(), []
        for number, database in enumerate(databases):
            file = f"{number}.{database.kind}"
            await _told(database_copies.save(database, folder / file), database)
            kept.append({"kind": database.kind, "variable": database.variable, "file": file})
        about = {"name": name, "time": stamp(time), "databases": kept}
        (folder / _ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        return about

    def _databases(self) -> list[Database]:
        found = database_copies.of_manifest(self._project.refresh(), self._extra)
        if not found:
            raise SnapshotError(
                "no variable of the functions names a database: there is no sqlite:/// or postgresql:// and no .db file"
            )
        return found

    def _folder(self) -> Path:
        return self._project.manifest.folder / FOLDER

    def _place(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise SnapshotError(
                "a snapshot's name has 1 to 64 of A-Z a-z 0-9 . _ - and begins with a letter or a digit"
            )
        return self._folder() / name


async def _told(copy: Any, database: Database) -> None:
    try:
        await copy
    except CopyError as error:
        raise SnapshotError(f"{database.variable}: {error}") from None


def _about(folder: Path) -> dict[str, Any] | None:
    """What is known of a snapshot; None where there is none."""
    try:
        found = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        return {"name": folder.name, "time": found["time"], "databases": found["databases"]}
    except (OSError, ValueError, TypeError, KeyError):
        return None
