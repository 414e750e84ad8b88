"""`saymask multiple-choice DATASET`: multiple choice questions about videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from saymask.cli.output import first_free, progress_bar, say, shown
from saymask.cli.segment import OUT, DeviceOption, DtypeOption, ModelOption
from saymask.runtime import Runtime
from saymask.storage.atomic import new_file


def multiple_choice(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A dataset of `saymask list` whose questions have options.")],
    model: ModelOption = "toy",
    root: Annotated[Path | None, typer.Option(metavar="DIR", help="The dataset's folder.")] = None,
    split: Annotated[str, typer.Option(help="Which part of the dataset.")] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many samples.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="File to write; its default lies in saymask-out.")] = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
) -> None:
    """Share of multiple choice questions answered rightly: by the letter that is written and by the likeliest option, beside chance."""
    from saymask.evaluation.exam import open_exam
    from saymask.evaluation.multiple_choice import evaluate_multiple_choice
    from saymask.models.checkpoints import load_model

    exam = open_exam(dataset, split, root, limit)
    segmenter = load_model(model, Runtime.choose(device, dtype))
    with progress_bar(f"{dataset} {split}: choosing") as progress:
        results = evaluate_multiple_choice(exam, segmenter, progress)
    path = first_free(out or OUT / f"multiple-choice-{dataset}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as draft:
        draft.write_text(json.dumps({"dataset": dataset, "split": split, "model": model, **results}, indent=1) + "\n", encoding="utf-8")
    for name in ("generated", "likelihood", "chance", "unreadable"):
        share = results[name]
        say(f"{name:<11} {'-' if share is None else f'{100 * share:.1f} %'}")
    say(f"wrote {shown(path)}")
