"""The paper's ablations at small scale: variants of one model, trained on the same samples, in one exam.

    python bench/ablations.py OUT [--rows "sparse-dense, seg-all" n-frame …] [--seeds 3] [--steps 700] [--device cuda]

Every variant is the recipe `videolisa_toy_ablation` with the overrides of its row, then `saymask eval toyworld`. Runs and exams lie under
OUT, each in a folder of its own; what is finished is not done again, so a stopped bench goes on with the same command. Prints J&F by
family as a Markdown table: the mean over the seeds and, with several, half the distance from the lowest to the highest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saymask.toyworld.dataset import FAMILIES


@dataclass(frozen=True)
class Row:
    """A variant: where the paper has it, and what of the recipe and of the exam differs."""

    tables: str
    overrides: tuple[str, ...] = ()
    tracker: str | None = None

    @property
    def run(self) -> str:
        """Folder name of the training; rows that differ in the tracker alone share one."""
        return ",".join(override.rpartition(".")[2] for override in self.overrides) or "paper"


FIRST_FRAME = ("data.image_share=1", "model.frames_seen=first")

ROWS: dict[str, Row] = {
    "sparse-dense, seg-all": Row("5, 6, 8, 9, 10"),
    "n-frame": Row("5, 8", ("model.token_layout=n_frame",)),
    "sparse-dense, one dense frame": Row("5, 8", ("model.num_dense=1",)),
    "n-frame, one frame": Row("5, 8", ("model.num_dense=1", "model.token_layout=n_frame")),
    "spatial-temporal pooling": Row("5, 8", ("model.token_layout=spatial_temporal",)),
    "slow-fast pooling": Row("5, 8", ("model.token_layout=slow_fast",)),
    "one token segments one frame": Row("6, 9", ("model.token_per_frame=true",)),
    "seg-all + xmem++": Row("6, 9", tracker="xmem++"),
    "one token from the first frame": Row("6, 9", FIRST_FRAME),
    "one token from the first frame + xmem": Row("6, 9", FIRST_FRAME, tracker="xmem"),
    "images alone": Row("10", ("data.image_share=1",)),
    "images and videos": Row("10", ("data.image_share=0.5",)),
}


def exam(row: Row, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Train and examine one variant unless that is done -> J&F by family and overall, in per cent."""
    shared = [f"seed={seed}", f"steps={options.steps}", *options.overrides]
    run = options.out / ",".join([row.run, *shared]).replace("/", "_")
    device = ["--device", options.device] if options.device else []
    overrides = [*row.overrides, *shared]
    if not (run / "finished").exists():
        resume = ["--resume"] if (run / "train.json").exists() else []
        saymask("train", "videolisa_toy_ablation", *overrides, "-o", str(run), *resume, *device)
        (run / "finished").touch()
    results = run.with_name(f"{run.name},exam={row.tracker or 'own'}")
    if not (results / "results.json").exists():
        tracker = ["-t", row.tracker] if row.tracker else []
        resume = ["--resume"] if results.exists() else []
        saymask("eval", "toyworld", "-m", str(run / "model"), "-o", str(results), *tracker, *resume, *device)
    return by_family(json.loads((results / "results.json").read_text(encoding="utf-8")))


def by_family(results: dict[str, Any]) -> dict[str, float]:
    row = results["rows"]["model"]
    scores = {"overall": row["overall"], **row["families"]}
    return {name: 100 * means["j_and_f"] for name, means in scores.items()}


def saymask(*arguments: str) -> None:
    print("saymask", *arguments, file=sys.stderr, flush=True)
    finished = subprocess.run([sys.executable, "-m", "saymask", *arguments], stdout=sys.stderr)
    if finished.returncode:
        sys.exit(finished.returncode)  # it has said why


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Markdown: a line per variant, a column per family; each cell the mean over seeds."""
    columns = ["overall", *FAMILIES]
    lines = [f"| J&F | paper's tables | {' | '.join(columns)} |", f"|---|---|{'---:|' * len(columns)}"]
    for name, scores in rows.items():
        cells = [cell(np.array([score[column] for score in scores])) for column in columns]
        lines.append(f"| {name} | {ROWS[name].tables} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(values: np.ndarray) -> str:
    spread = f" ± {np.ptp(values) / 2:.1f}" if len(values) > 1 else ""
    return f"{values.mean():.1f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=f"of: {'; '.join(ROWS)}")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--device")
    parser.add_argument("--overrides", nargs="*", default=[], metavar="A.B=VALUE", help="for every run, e.g. batch_size=64")
    options = parser.parse_args()
    print(table({name: [exam(ROWS[name], seed, options) for seed in range(options.seeds)] for name in options.rows}))


if __name__ == "__main__":
    main()
