"""Damaged, hostile and odd inputs, many of them: every one must end in a result or in one line that names the file.

    python bench/campaign.py --inputs 2000 [--seed 0]

Seeds (videos, images, a folder of own data, a model folder) are made here; each input is one of them with a few changes that the seed and
the input's number decide. A worker process with limits of time and memory reads them. Prints the counts and the first failures; the exit
code is 1 if there is any.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "fuzz"))

from mutations import KINDS, make_seeds
from reading import Readers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    count: Counter[str] = Counter()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        seeds = make_seeds(Path(scratch) / "seeds")
        with Readers(Path(scratch) / "work") as readers:
            for number in range(args.inputs):
                kind = KINDS[number % len(KINDS)]
                outcome = readers.read(seeds[kind], kind, args.seed, number)
                count[outcome.kind] += 1
                if outcome.is_failure:
                    failures.append(f"input {number} ({kind}): {outcome.kind}: {outcome.detail}")
            peak = readers.peak_bytes
    print(f"inputs {args.inputs} · seed {args.seed} · peak memory of a reader {peak / 2**20:.0f} MiB")
    for name in ("read", "refused", "traceback", "hang", "over memory", "silent"):
        print(f"  {name:12} {count[name]}")
    print("\n".join(failures[:40]))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
