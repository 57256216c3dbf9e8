"""The command that saves the databases of a running emulator, and loads them again."""

from __future__ import annotations

import enum
import urllib.parse
from typing import Annotated, Any

import typer

from emulator.cli import options, output
from emulator.cli.client import ask
from emulator.cli.options import Port

_PATH = "/_emulator/snapshots"


class Action(enum.StrEnum):
    """What to do with snapshots."""

    LIST = "list"
    SAVE = "save"
    LOAD = "load"


ActionArgument = Annotated[
    Action,
    typer.Argument(help="list: print them. save NAME: copy the databases. load NAME: put them back, and start anew."),
]
Name = Annotated[str | None, typer.Argument(help="The snapshot's name.")]
Replace = Annotated[bool, typer.Option("--replace", help="With save: replace the snapshot of this name.")]


def snapshot(
    action: ActionArgument = Action.LIST, name: Name = None, replace: Replace = False, port: Port = 8080
) -> None:
    """Save and load the databases that the manifest's environment names, while the emulator serves.

    SQLite is copied by its backup, PostgreSQL by pg_dump and pg_restore. Snapshots are in .emulator-snapshots/ beside
    the manifest.
    """
    if replace and action is not Action.SAVE:
        options.refuse(f"--replace has no effect on {action.value}")
    if action is Action.LIST:
        if name is not None:
            options.refuse("list takes no name")
        for one in ask("GET", port, _PATH)["snapshots"]:
            _print(one)
        return
    if name is None:
        options.refuse(f"{action.value} needs a name")
    path = f"{_PATH}/{urllib.parse.quote(name, safe='')}"
    if action is Action.SAVE:
        _print(ask("PUT", port, path, {"replace": replace}))
    else:
        _print(ask("POST", port, f"{path}/load"))


def _print(one: dict[str, Any]) -> None:
    databases = ", ".join(f"{database['variable']} ({database['kind']})" for database in one["databases"])
    output.write(f"{one['name']}  {one['time']}  {databases}\n")
