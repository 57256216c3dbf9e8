"""`python -m tests.bench`: run the benchmarks, print the tables, write the numbers and the pictures."""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tests.bench import SECTIONS, pictures, section
from tests.bench.harness import FULL, QUICK
from tests.bench.report import machine, versions


def main() -> None:
    """Run the sections that the command line names, all by default."""
    arguments = _arguments()
    folder: Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    effort = QUICK if arguments.quick else FULL
    effort = replace(effort, starvation=arguments.starvation, rounds=arguments.rounds or effort.rounds)
    console = Console(width=None if Console().is_terminal else 120)
    console.print({**machine(), **versions()})
    missed = 0
    for name in arguments.sections or SECTIONS:
        started = time.monotonic()
        found = section(name)(effort, folder)
        if pictures.available():
            pictures.draw(found, folder)
        else:
            found.notes.append("matplotlib is not installed: no picture")
        found.notes.append(f"took {time.monotonic() - started:.0f} s")
        found.show(console)
        found.write(folder)
        missed += sum(not target.met for target in found.targets)
    console.print(f"numbers and pictures in {folder}/; targets missed: {missed}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"any of: {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="shorter measurements and fewer rounds")
    parser.add_argument("--out", type=Path, default=Path("bench-results"), help="folder for numbers and pictures")
    parser.add_argument("--rounds", type=int, help="rounds that count, instead of the usual number")
    parser.add_argument(
        "--starvation", type=float, default=0.0, metavar="SECONDS", help="processes: add a run this long, say 30"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    main()
