"""Damaged, hostile and odd inputs, many of them: every one must end in a result or in one line that names the input.

    python bench/campaign.py --inputs 2000 [--seed 0] [--kind model]

Sound inputs (videos, images, folders of frames, own data, model folders) are made here; each input is a copy of one with a few changes that
the seed and the input's number decide. A long-lived process reads them within limits of time and memory. Prints a line while it goes on, a
table of outcomes by kind, and every failure; the exit code is 1 if there is any.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS / "fuzz"), str(TESTS / "support")]

from reading import MAX_BYTES, OUTCOMES, SECONDS, Reader  # noqa: E402 (found by the line above)
from seeds import KINDS, make_seed  # noqa: E402

PROGRESS_EVERY = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=2000, help="in all, the same number of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this one; may be given several times")
    args = parser.parse_args()
    kinds = args.kind or KINDS
    counts = {kind: Counter[str]() for kind in kinds}
    num_failures, done, start = 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, Reader(Path(scratch) / "work") as reader:
        for place, kind in enumerate(kinds):
            seed_path = make_seed(kind, Path(scratch) / "seeds")
            if (sound := reader.read(seed_path, kind, args.seed, None)).name != "used":
                sys.exit(f"the unchanged {kind} is {sound.name}: {sound.detail}")
            for number in range(args.inputs * place // len(kinds), args.inputs * (place + 1) // len(kinds)):
                outcome = reader.read(seed_path, kind, args.seed, number)
                counts[kind][outcome.name] += 1
                if outcome.is_failure:
                    num_failures += 1
                    print(f"FAILURE input {number} ({kind}): {outcome.name}: {outcome.detail}", flush=True)
                done += 1
                if done % PROGRESS_EVERY == 0:
                    print(f"{done} of {args.inputs} · {time.monotonic() - start:.0f} s · {num_failures} failures", flush=True)
        peak = reader.peak_bytes
    print(f"\nlimits {SECONDS} s and {MAX_BYTES / 2**30:.0f} GiB each · largest process {peak / 2**20:.0f} MiB · seed {args.seed}\n")
    print("| kind | " + " | ".join(OUTCOMES) + " |")
    print("|---" * (len(OUTCOMES) + 1) + "|")
    for name, count in (*counts.items(), ("all", sum(counts.values(), Counter[str]()))):
        print(f"| {name} | " + " | ".join(str(count[outcome]) for outcome in OUTCOMES) + " |")
    sys.exit(bool(num_failures))


if __name__ == "__main__":
    main()
