"""The command that shows and sets the faults of a running emulator."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from emulator.cli import options, output
from emulator.cli.client import ask
from emulator.cli.options import Port
from emulator.service import faults as rules
from emulator.service.faults import FaultsError, Shapes

_PATH = "/_emulator/faults"
_MAX_BYTES = 1_000_000


class Action(enum.StrEnum):
    """What to do with the rules."""

    SHOW = "show"
    ADD = "add"
    LOAD = "load"
    CLEAR = "clear"


ActionArgument = Annotated[
    Action,
    typer.Argument(
        help="show: print the rules. add KIND: one more rule, with the options below; all rules begin anew. load FILE: "
        'the rules of a file, {"rules": […]}. clear: no rules.'
    ),
]
Value = Annotated[str | None, typer.Argument(help=f"A kind ({', '.join(rules.KINDS)}), or a file.")]
FunctionName = Annotated[str | None, typer.Option("--function", help="The function that it happens to.")]
RouteName = Annotated[str | None, typer.Option("--route", help="The route that it happens to: 'GET /pets/{id}'.")]
Rate = Annotated[float | None, typer.Option(help="The probability with which it happens; 1 without this.")]
Seed = Annotated[int | None, typer.Option(help="Of the random numbers: the same seed hits the same invocations.")]
Times = Annotated[int | None, typer.Option(help="How often it happens at most.")]
Status = Annotated[int | None, typer.Option(help="Of an error.")]
Milliseconds = Annotated[
    str | None, typer.Option(help="Of a latency or a timeout: 200, 100-900 (spread evenly), or median:100,p99:2000.")
]


def faults(
    action: ActionArgument = Action.SHOW,
    value: Value = None,
    function: FunctionName = None,
    route: RouteName = None,
    rate: Rate = None,
    seed: Seed = None,
    times: Times = None,
    status: Status = None,
    milliseconds: Milliseconds = None,
    port: Port = 8080,
) -> None:
    """Show and set what goes wrong on purpose in a running emulator.

    Every answer that a rule has touched has the header Emulator-Fault.
    """
    given = {"function": function, "route": route, "rate": rate, "seed": seed, "times": times, "status": status}
    settings: dict[str, Any] = {name: one for name, one in given.items() if one is not None}
    if milliseconds is not None:
        settings["milliseconds"] = _milliseconds(milliseconds)
    if settings and action is not Action.ADD:
        options.refuse(f"{next(iter(settings))} has no effect on {action.value}: it is an option of add")
    if (value is None) == (action in (Action.ADD, Action.LOAD)):
        wanted = {Action.ADD: "needs a kind", Action.LOAD: "needs a file"}.get(action, "takes no value")
        options.refuse(f"{action.value} {wanted}")
    if action is Action.SHOW:
        _print(ask("GET", port, _PATH))
    elif action is Action.CLEAR:
        _print(ask("PUT", port, _PATH, {"rules": []}))
    elif action is Action.LOAD:
        _print(ask("PUT", port, _PATH, json.loads(read(Path(str(value)))[0])))
    else:
        before = ask("GET", port, _PATH)["rules"]
        _print(ask("PUT", port, _PATH, {"rules": [*before, {"kind": value, **settings}]}))


def read(file: Path) -> tuple[bytes, Shapes]:
    """The text and the rules of a file; one that cannot be read ends the command."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_MAX_BYTES + 1)
    except OSError as error:
        options.refuse(f"{file}: {error.strerror}")
    if len(text) > _MAX_BYTES:
        options.refuse(f"{file}: is larger than {_MAX_BYTES:,} bytes")
    try:
        return text, rules.read(text)
    except FaultsError as error:
        options.refuse(f"{file}: {error}")


def _milliseconds(text: str) -> float | dict[str, float]:
    try:
        if ":" in text:
            return {name.strip(): float(one) for name, one in (part.split(":") for part in text.split(","))}
        low, dash, high = text.partition("-")
        return {"from": float(low), "to": float(high)} if dash else float(low)
    except ValueError:
        options.refuse(f"--milliseconds {text}: must be like 200, 100-900 or median:100,p99:2000")


def _print(answer: dict[str, Any]) -> None:
    if not answer["rules"]:
        output.write("no faults\n")
    for rule, applied in zip(answer["rules"], answer["applied"], strict=True):
        target = rule.pop("function", None) or rule.pop("route", None)
        rest = "".join(f"  {name} {_text(value)}" for name, value in rule.items() if name != "kind")
        output.write(f"{rule['kind']}  {target}{rest}  ({applied} so far)\n")


def _text(value: Any) -> str:
    return ",".join(f"{name}:{one:g}" for name, one in value.items()) if isinstance(value, dict) else f"{value:g}"
