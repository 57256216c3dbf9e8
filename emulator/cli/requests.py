"""The commands that list the requests of a running emulator, show one, and send one again."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.parse
from typing import Annotated, Any

import typer

from emulator.cli import output
from emulator.cli.client import ask
from emulator.cli.options import Port
from emulator.service import console

POLL_SECONDS = 0.3

Id = Annotated[int, typer.Argument(min=1, help="The request's number.")]
ShownId = Annotated[int | None, typer.Argument(min=1, metavar="ID", help="Show everything about this request.")]
FunctionName = Annotated[str, typer.Option(help="Only this function's.")]
Status = Annotated[str, typer.Option(help="Only with this status: 404, 5xx, or 4xx,5xx.")]
Text = Annotated[str, typer.Option(help="Only with this text in the path, a body, the log or the error.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest ones.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")]
Secrets = Annotated[bool, typer.Option("--secrets", help="With ID: show Authorization and cookies, too.")]


def requests(
    id: ShownId = None,  # noqa: A002 - it is the command's argument
    function: FunctionName = "",
    status: Status = "",
    text: Text = "",
    limit: Limit = 100,
    follow: Follow = False,
    secrets: Secrets = False,
    port: Port = 8080,
) -> None:
    """List the latest requests of a running emulator, the newest last, or show one as JSON."""
    if id is not None:
        found = ask("GET", port, f"/_emulator/requests/{id}{'?secrets=1' if secrets else ''}")
        output.write(console.visible_json(json.dumps(found, indent=2, ensure_ascii=False)) + "\n")
        return
    wanted = {"function": function, "status": status, "text": text, "limit": str(limit)}
    # Ctrl-C is how a person stops following: no error, wherever it arrives.
    with contextlib.suppress(KeyboardInterrupt):
        _list({name: value for name, value in wanted.items() if value}, port, follow=follow)


def resend(id: Id, port: Port = 8080) -> None:  # noqa: A002
    """Send a request of a running emulator again, and print the new answer."""
    made = ask("POST", port, f"/_emulator/requests/{id}/replay")
    output.write(f"{_line(made)}\n{made['answer']['body']}\n")


def _list(wanted: dict[str, str], port: int, *, follow: bool) -> None:
    after = 0
    while True:
        found = ask("GET", port, f"/_emulator/requests?{urllib.parse.urlencode({**wanted, 'after': str(after)})}")
        output.write("".join(f"{_line(one)}\n" for one in reversed(found["requests"])))
        after = found["last"]
        if not follow:
            return
        wanted["limit"] = "10000"
        time.sleep(POLL_SECONDS)


def _line(one: dict[str, Any]) -> str:
    """One request: every field in one line, whatever its path holds."""
    parts = [
        f"#{one['id']}",
        one["time"],
        f"{console.visible(one['method']):<7} {console.visible(one['path'])}",
        str(one["status"]),
        f"{one['milliseconds']:.1f} ms",
        one["function"] or "-",
    ]
    notes = ["cold"] if one["cold"] else []
    notes += [f"#{one['original']} again"] if "original" in one else []
    notes += [console.visible(one["note"])] if "note" in one else []
    return "  ".join(parts) + (f"  ({'; '.join(notes)})" if notes else "")
