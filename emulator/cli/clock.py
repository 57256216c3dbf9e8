"""The command that reads and moves the clock of a running emulator."""

from __future__ import annotations

import enum
from typing import Annotated, Any

import typer

from emulator.cli import options, output, times
from emulator.cli.client import ask
from emulator.cli.options import Port

_PATH = "/_emulator/clock"


class Action(enum.StrEnum):
    """What to do with the clock."""

    SHOW = "show"
    FREEZE = "freeze"
    ADVANCE = "advance"
    RUN = "run"
    RESET = "reset"


ActionArgument = Annotated[
    Action,
    typer.Argument(
        help="show: print it. freeze [TIME]: stop it, at a time. advance DURATION: let time pass, and call the "
        "schedules on the way. run [TIME]: let it run, from a time. reset: back to the system's time."
    ),
]
Value = Annotated[
    str | None, typer.Argument(help="A time such as 2026-11-22T08:00Z, or a duration such as 45m, 1h30m or 2d.")
]


def clock(action: ActionArgument = Action.SHOW, value: Value = None, port: Port = 8080) -> None:
    """Read and move the time that the functions of a running emulator see.

    Schedules, tokens and the time limits of connections go by the same clock. Time limits of functions stay real.
    """
    if action is Action.ADVANCE:
        if value is None:
            options.refuse("advance needs a duration, such as 45m")
        step = {"seconds": times.seconds(value)}
        _print(ask("POST", port, f"{_PATH}/advance", step))
        return
    if value is not None and action in (Action.SHOW, Action.RESET):
        options.refuse(f"{action.value} takes no value")
    if action is Action.SHOW:
        _print(ask("GET", port, _PATH))
    elif action is Action.RESET:
        _print(ask("DELETE", port, _PATH))
    else:
        at = {} if value is None else {"at": value}
        _print(ask("PUT", port, _PATH, {**at, "running": action is Action.RUN}))


def _print(answer: dict[str, Any]) -> None:
    for run in answer.get("ran", ()):
        output.write(f"{run['time']}  {run['function']}  {run['result']}  {run['schedule']}\n")
    state = "running" if answer["running"] else "frozen"
    offset = answer["offset_seconds"]
    distance = f"{times.distance(offset)} {'ahead' if offset > 0 else 'behind'}" if offset else "the system's time"
    output.write(f"{answer['now']}  {state}  {distance}\n")
    if note := answer.get("note"):
        options.warn(note)
    if left_out := answer.get("left_out"):
        options.warn(f"left out: {', '.join(left_out)}")
