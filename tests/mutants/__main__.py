"""`python -m tests.mutants [module or folder …]`: the mutants that no test notices, and the share of those noticed."""

import argparse
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.selection import MUTATED, modules, tests_of
from tests.mutants.session import Mutant, run

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Print the mutants of each module that lived when it is done, and all in all; exit with 1 below the goal."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help=f"files or folders; default: {', '.join(MUTATED)}")
    parser.add_argument("--tests", nargs="+", help="run these on each mutant, and not those of tests/mutants/selection")
    parser.add_argument("--jobs", type=int, default=1, help="how many modules at the same time (default 1)")
    parser.add_argument("--goal", type=float, default=95, help="per cent to be noticed (default 95)")
    options = parser.parse_args()
    with ThreadPoolExecutor(options.jobs) as threads:
        chosen = modules(ROOT, options.modules)
        found = [mutant for part in threads.map(lambda one: _report(one, options.tests), chosen) for mutant in part]
    noticed = sum(mutant.noticed for mutant in found)
    print(f"{noticed} of {len(found)} mutants noticed")
    if noticed * 100 < options.goal * len(found):
        raise SystemExit(1)


def _report(module: Path, tests: list[str] | None) -> list[Mutant]:
    with tempfile.TemporaryDirectory(prefix="switchboard-mutants-") as folder:
        found = run(ROOT, Path(folder), module, tests or tests_of(module))
    lived = [mutant for mutant in found if not mutant.noticed]
    print(f"{module}: {len(found) - len(lived)} of {len(found)} noticed", flush=True)
    for mutant in lived:
        print(f"  line {mutant.line}: {mutant.operator}\n{mutant.diff}", flush=True)
    return found


if __name__ == "__main__":
    main()
