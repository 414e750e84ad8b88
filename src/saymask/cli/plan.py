"""`saymask plan SOURCE [QUERY …]`: what `saymask segment` will take in time and memory, without loading the model."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from saymask.cli.output import say, shown
from saymask.cli.segment import (
    AnswerOption,
    DeviceOption,
    DtypeOption,
    ModelOption,
    TrackerOption,
    TrackerWeightsOption,
    VisionTowerOption,
)
from saymask.lookup import resolve_writer
from saymask.models.choice import AUTO, choose
from saymask.runtime import Runtime, leave_a_core
from saymask.storage.atomic import new_file

QUERY = "the person in the red shirt"
"""What is planned with where no query is given."""


def plan(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A video, an image, or a folder of frames.")],
    queries: Annotated[list[str] | None, typer.Argument(metavar="[QUERY]", help="What will be asked; one query if not given.")] = None,
    model: ModelOption = AUTO,
    formats: Annotated[str, typer.Option("--format", help="Comma-separated names of `saymask list`.")] = "overlay,png",
    answer: AnswerOption = None,
    tracker: TrackerOption = None,
    tracker_weights: TrackerWeightsOption = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write the figures here as JSON, too.")] = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    vision_tower: VisionTowerOption = None,
) -> None:
    """Say how long a video will take and how much memory, stage by stage; of the model only the configuration is read."""
    asked_for = queries or [QUERY]
    names = [name for name in formats.split(",") if name]
    for name in names:
        resolve_writer(name)
    runtime = Runtime.choose(device, dtype)
    import psutil

    from saymask.benchmark.expectation import Asked, expect
    from saymask.benchmark.plan_text import as_json, as_text
    from saymask.models.described import describe_model
    from saymask.records import check_queries
    from saymask.trackers.loading import load_tracker
    from saymask.video.reader import open_source

    check_queries(asked_for)
    video = open_source(source)
    described = describe_model(choose(video) if model == AUTO else model, vision_tower)
    described.family.load("segmenter")
    start_seconds, used_bytes = time.process_time(), psutil.Process().memory_info().rss
    tracker_name = tracker or described.family.default_tracker
    loaded = load_tracker(tracker_name, runtime, tracker_weights) if tracker_name else None
    if loaded is None:
        leave_a_core(described.weights_bytes)
    with new_file(out) if out else nullcontext() as draft:
        expected = expect(described, Asked(video, asked_for, answer, names), runtime, loaded, start_seconds, used_bytes)
        say(as_text(expected))
        if draft:
            draft.write_text(json.dumps({"source": str(source), **as_json(expected)}, indent=1) + "\n", encoding="utf-8")
    if out:
        say(f"wrote {shown(out.absolute())}")
