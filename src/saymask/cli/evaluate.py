"""`saymask eval DATASET`: measure a model on a dataset, beside baselines that do not follow the sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saymask.cli.output import free_folder, progress_bar, say, shown
from saymask.cli.segment import (
    OUT,
    AnswerOption,
    DeviceOption,
    DtypeOption,
    ModelOption,
    TrackerOption,
    TrackerWeightsOption,
    VisionTowerOption,
    load_chosen_tracker,
)
from saymask.lookup import resolve
from saymask.runtime import Runtime


def evaluate(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A dataset of `saymask list`.")],
    model: ModelOption = "toy",
    split: Annotated[str, typer.Option(help="Which part of the dataset.")] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many samples.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Output folder; saymask-out/eval-<dataset>-<split> if not given.")] = None,
    answer: AnswerOption = "forced",
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    vision_tower: VisionTowerOption = None,
    tracker: TrackerOption = None,
    tracker_weights: TrackerWeightsOption = None,
) -> None:
    """Measure J, F and J&F; writes results.json."""
    from saymask.evaluation.run import format_table, run_eval
    from saymask.models.checkpoints import load_model

    resolve(dataset, "dataset")  # before a model is loaded for nothing
    runtime = Runtime.choose(device, dtype)
    chosen_tracker = load_chosen_tracker(tracker, tracker_weights, runtime)
    segmenter = load_model(model, runtime, vision_tower)
    folder = free_folder(out or OUT / f"eval-{dataset}-{split}")
    with progress_bar(f"{dataset} {split}") as progress:
        results = run_eval(dataset, split, segmenter, folder, limit, answer, chosen_tracker, progress)
    say(format_table(results))
    say(f"wrote {shown(folder / 'results.json')}")
