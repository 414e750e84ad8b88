"""Measure predictors on a dataset in one pass; every expected answer counts.

An expression's J and F are means over the frames of its video, a family's and the overall scores are means over expressions. A prediction
that fails scores 0 and is listed with the reason; nothing is skipped. Where nothing in the video matches the question, the share of
silent answers (no predicted pixel on any frame) is reported as well.

results.json: {dataset, split, model, tracker, answer, run: {...}, rows: {row: scores}}, with `scores` as `evaluate` returns it.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saymask.errors import ConfigError, DataError, SaymaskError
from saymask.evaluation.metrics import video_scores
from saymask.evaluation.predictors import (
    Predictor,
    empty_predictor,
    largest_thing_predictor,
    own_and_swapped_predictors,
    sample_name,
    swapped_questions,
    union_predictor,
)
from saymask.lookup import resolve
from saymask.records import Prediction, Sample
from saymask.video.atomic import new_file

if TYPE_CHECKING:
    from saymask.models.base import Segmenter
    from saymask.trackers.base import Tracker

Progress = Callable[[int, int], None]


def evaluate(samples: Sequence[Sample], predictor: Predictor, progress: Progress | None = None) -> dict[str, Any]:
    """Measure one predictor on all samples.

    Returns:
        `expected` and `found` (numbers of predictions), `failed` (name and reason of each that is missing), `overall` and `families`
        (means, and how many expressions went into them), `expressions` (the scores of each).
    """
    return evaluate_rows(samples, {"only": predictor}, progress=progress)["only"]


def evaluate_rows(
    samples: Sequence[Sample], predictors: Mapping[str, Predictor], limit: int | None = None, progress: Progress | None = None
) -> dict[str, dict[str, Any]]:
    """Measure several predictors side by side, reading every sample once; `limit` takes only the first so many samples.

    Raises:
        ConfigError: a limit below 1.
        DataError: there are no samples.
    """
    count = _count(samples, limit)
    expressions: dict[str, list[dict[str, Any]]] = {row: [] for row in predictors}
    for index in range(count):
        sample = samples[index]
        truth_THW = sample.masks_THW
        for row, predictor in predictors.items():
            expressions[row].append(_score(sample, truth_THW, predictor))
        if progress:
            progress(index + 1, count)
    return {row: _summarise(scores) for row, scores in expressions.items()}


def run_eval(
    dataset: str,
    split: str,
    segmenter: Segmenter,
    out_dir: Path,
    limit: int | None = None,
    answer: str = "forced",
    tracker: Tracker | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure a model on a dataset by name, beside the baselines, and write `results.json` into `out_dir`.

    Returns:
        What was written.

    Raises:
        UnknownName: no such dataset.
        ConfigError: a limit below 1.
        DataError: no such split, or nothing in it.
        VideoError: `out_dir` already holds a results.json.
    """
    samples: Sequence[Sample] = resolve(dataset, "dataset")(None, split)
    own, swapped = own_and_swapped_predictors(segmenter, swapped_questions(samples, _count(samples, limit)), answer, tracker)
    predictors = {
        "model": own,
        "empty": empty_predictor,
        "largest": largest_thing_predictor,
        "union": union_predictor,
        "swapped": swapped,
    }
    out_dir.mkdir(parents=True, exist_ok=True)
    with new_file(out_dir / "results.json") as draft:
        results = {
            "dataset": dataset,
            "split": split,
            "model": segmenter.name,
            "tracker": tracker.name if tracker else None,
            "answer": answer,
            "run": _circumstances([*segmenter.weights_files, *(tracker.weights_files if tracker else ())]),
            "rows": evaluate_rows(samples, predictors, limit, progress),
        }
        draft.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def format_table(results: Mapping[str, Any]) -> str:
    """J&F in per cent as text: a line per row, a column per family, the overall mean, and how often absent things get silence."""
    rows: Mapping[str, Any] = results["rows"]
    families = list(next(iter(rows.values()))["families"])
    has_silence = "silent" in next(iter(rows.values()))["overall"]
    lines = [["J&F", *families, "overall", *["silent"] * has_silence]]
    for row, scores in rows.items():
        groups = [scores["families"][family] for family in families] + [scores["overall"]]
        cells = [group["j_and_f"] for group in groups] + ([scores["overall"]["silent"]] if has_silence else [])
        lines.append([row, *(f"{100 * cell:.1f}" for cell in cells)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    failures = [
        f"{row}: {len(scores['failed'])} of {scores['expected']} predictions failed and count as 0; results.json says why"
        for row, scores in rows.items()
        if scores["failed"]
    ]
    return "\n".join(table + failures)


def _count(samples: Sequence[Sample], limit: int | None) -> int:
    """How many samples a limit leaves."""
    if limit is not None and limit < 1:
        raise ConfigError(f"limit {limit} leaves nothing to evaluate; give 1 or more")
    if not samples:
        raise DataError("no samples to evaluate; check the dataset and the split")
    return len(samples) if limit is None else min(limit, len(samples))


def _score(sample: Sample, truth_THW: np.ndarray, predictor: Predictor) -> dict[str, Any]:
    """One expression's entry of the results."""
    expression = sample.expression
    scores: dict[str, Any] = {"name": sample_name(sample), "text": expression.text, "family": expression.tags.get("family", "all")}
    absent = not expression.obj_ids
    try:
        masks_THW = _answered_masks(predictor(sample), sample)
    except SaymaskError as error:
        silent = {"silent": False} if absent else {}
        return {**scores, "j": 0.0, "f": 0.0, "j_and_f": 0.0, **silent, "error": str(error)}
    j_T, f_T = video_scores(masks_THW, truth_THW, sample.ignore_THW)
    j, f = float(j_T.mean()), float(f_T.mean())
    silent = {"silent": not masks_THW.any()} if absent else {}
    return {**scores, "j": j, "f": f, "j_and_f": (j + f) / 2, **silent}


def _answered_masks(prediction: Prediction, sample: Sample) -> np.ndarray:
    """Union of the objects of a prediction's one result -> bool masks_THW, checked against the sample's video."""
    shape = (sample.video.num_frames, sample.video.height, sample.video.width)
    if len(prediction.results) != 1:
        raise DataError(f"{sample_name(sample)}: the prediction has {len(prediction.results)} results, expected 1")
    masks_THW = np.zeros(shape, dtype=bool)
    for masklet in prediction.results[0].masklets:
        found = (len(masklet.rle_T), masklet.rle_T[0].height, masklet.rle_T[0].width)
        if found != shape:
            raise DataError(f"{sample_name(sample)}: the predicted masks are {found} (frames, height, width), expected {shape}")
        for t, rle in enumerate(masklet.rle_T):
            masks_THW[t] |= rle.decode()
    return masks_THW


def _summarise(expressions: list[dict[str, Any]]) -> dict[str, Any]:
    """Add counts and means to the scores of the single expressions."""
    failed = [{"name": scores["name"], "reason": scores["error"]} for scores in expressions if "error" in scores]
    families = dict.fromkeys(scores["family"] for scores in expressions)
    return {
        "expected": len(expressions),
        "found": len(expressions) - len(failed),
        "failed": failed,
        "overall": _mean(expressions),
        "families": {family: _mean(scores for scores in expressions if scores["family"] == family) for family in families},
        "expressions": expressions,
    }


def _mean(expressions: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Means over expressions; `silent` only where something absent was asked for."""
    expressions = list(expressions)
    means: dict[str, Any] = {"expressions": len(expressions)}
    for measure in ("j", "f", "j_and_f", "silent"):
        values = [scores[measure] for scores in expressions if measure in scores]
        if values:
            means[measure] = float(np.mean(values))
    return means


def _circumstances(weights_files: Sequence[Path]) -> dict[str, Any]:
    """What someone needs to repeat the run: command, versions, threads, and which weights."""
    import torch

    from saymask import __version__

    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "saymask": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "numpy": np.__version__,
        "torch_threads": torch.get_num_threads(),
        "weights_sha256": {f"{file.parent.name}/{file.name}": _sha256(file) for file in weights_files},
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
