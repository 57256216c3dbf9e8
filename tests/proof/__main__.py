"""`python -m tests.proof`: the long run of the history checker, round after round, until its time is over."""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec

from tests.proof.rounds import Result, Shape, run_round

_KILL_EVERY = 1.5  # seconds
_SHOWN = 20  # violations of a round that are printed
_SHOWN_CALLS = 6  # of a violation


def main() -> int:
    """Run rounds; 0 when every promise held in all of them."""
    options = _options()
    print(f"seed {options.seed}, {options.processes} processes{', kills' if options.kill else ''}", flush=True)
    total, killed, sound = Counter[tuple[str, str]](), 0, True
    until = time.monotonic() + options.seconds
    number = 0
    while sound and time.monotonic() < until:
        shape = Shape(
            seed=f"{options.seed} {number}",
            seconds=max(2.0, min(options.round, until - time.monotonic())),
            processes=options.processes,
            kill_every=_KILL_EVERY if options.kill else None,
        )
        result = _round(shape)
        total += result.counts
        killed += result.killed
        sound = result.sound
        left = max(0, round(until - time.monotonic()))
        print(f"round {number}: {result.counts.total()} calls, {killed} kills, {left} s left", flush=True)
        number += 1
    _summarise(total, killed, number)
    print("every promise held" if sound else "PROMISES WERE BROKEN")
    return 0 if sound else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long to run (%(default)s)")
    parser.add_argument("--round", type=float, default=20.0, help="seconds between two checks (%(default)s)")
    parser.add_argument("--processes", type=int, default=6, help="how many at a time (%(default)s)")
    parser.add_argument("--kill", action="store_true", help="kill processes now and then, and replace them")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the callers' choices")
    return parser.parse_args()


def _round(shape: Shape) -> Result:
    """One round; its folder stays where something was found."""
    folder = Path(tempfile.mkdtemp(prefix="switchboard-proof-"))
    result = run_round(shape, folder / "round")
    if result.sound:
        shutil.rmtree(folder)
        return result
    print(f"integrity: {result.damage}\n{len(result.violations)} violations; the record is in {folder}")
    for violation in result.violations[:_SHOWN]:
        print(f"\n{violation.promise}: {violation.finding}")
        for call in violation.calls[:_SHOWN_CALLS]:
            print(" ", json.dumps(msgspec.to_builtins(call)))
    return result


def _summarise(total: Counter[tuple[str, str]], killed: int, rounds: int) -> None:
    for (operation, outcome), count in sorted(total.items()):
        print(f"{operation:10} {outcome:24} {count:10}")
    print(f"{total.total()} calls in {rounds} rounds, {killed} processes killed")


if __name__ == "__main__":
    sys.exit(main())
