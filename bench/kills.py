"""Kill commands at random moments: nothing half-written is left under a final name, and the next run gives what an undisturbed one does.

    python bench/kills.py [--kills 60] [--seed 0]

`segment` into an existing empty folder, `train` and `eval`, a third of the kills each. Prints a table; the exit code is 1 if anything is
wrong.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS / "fuzz"), str(TESTS / "support")]

from killing import import_everything, kill, make_jobs, straight  # noqa: E402 (found by the line above)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    import_everything()
    rows, num_problems = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        jobs = make_jobs(Path(scratch))
        for name, job in jobs.items():
            expected, seconds = straight(job)
            problems = []
            for number in range(args.kills // len(jobs)):
                if problem := kill(job, expected, seconds, rng):
                    problems.append(problem)
                    print(f"{name}, kill {number}: {problem}", flush=True)
            print(f"{name}: {args.kills // len(jobs)} kills done", flush=True)
            rows.append(f"| {name} | {args.kills // len(jobs)} | {seconds:.1f} s | {len(problems)} |")
            num_problems += len(problems)
    print(f"\nseed {args.seed}\n\n| command | kills | undisturbed | half-written, or not equal after the next run |")
    print("|---|---|---|---|")
    print("\n".join(rows))
    sys.exit(bool(num_problems))


if __name__ == "__main__":
    main()
