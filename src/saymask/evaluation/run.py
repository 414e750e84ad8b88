"""Evaluate in two steps: predict every expression of an exam into files, then score what is there; every expected answer counts.

Between the steps anything may happen: the power fails, parts run on several machines, predictions come from somewhere else. What is
scored is always the whole exam. An expression without a prediction scores 0 and is listed with the reason; nothing is skipped, unless a
protocol that reproduces a published script says so.

    <folder>/config.json            what was evaluated (`EvalConfig`)
    <folder>/predictions/, swapped/ one file per expression (`prediction_files`)
    <folder>/results.json           {all of config.json, config_sha256, protocol, left_out: what the dataset lists but cannot be asked,
                                    run: circumstances, rows: {row: `summarise_row`}}

Under another protocol than ours the last one is results-<protocol>.json. All but `run` is the same however often it was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from saymask.errors import ConfigError, SaymaskError
from saymask.evaluation.annotators import is_complete, objects_by_annotator
from saymask.evaluation.candidates import OWN, SWAPPED, Candidate
from saymask.evaluation.exam import Exam
from saymask.evaluation.found_predictions import find_predictions
from saymask.evaluation.prediction_files import PredictionFiles
from saymask.evaluation.predictors import BASELINES, Predictor
from saymask.evaluation.provenance import EvalConfig, circumstances
from saymask.evaluation.scoring import Entry, foreground, score_expression
from saymask.evaluation.summaries import summarise_row
from saymask.metrics.davis import ObjectScores
from saymask.metrics.protocols import SAYMASK, Protocol
from saymask.runtime import Shard
from saymask.storage.atomic import replaced_file

CONFIG = "config.json"
Progress = Callable[[int, int], None]


def predict(
    exam: Exam, candidate: Candidate, folder: Path, shard: Shard | None = None, resume: bool = False, progress: Progress | None = None
) -> int:
    """Write a candidate's answers, video by video; what cannot be answered is noted and does not stop the others.

    Args:
        exam, candidate: who answers what.
        folder: for the answers; made if it does not exist.
        shard: only this part of the videos, into a folder that the parts share.
        resume: go on with what is in the folder; questions that failed are asked again.
        progress: called with the numbers of expressions done and to do.

    Returns:
        The number of expressions that could not be answered.

    Raises:
        ConfigError: the folder holds another evaluation, or holds this one and neither `resume` nor `shard` is given, or there is
            nothing to resume.
        VideoError: the disk refuses.
    """
    if is_evaluation(folder) and not resume and shard is None:
        raise ConfigError(f"{folder}: holds an evaluation already; add --resume to go on with it, or choose another folder")
    if resume and not is_evaluation(folder):
        raise ConfigError(f"{folder}: nothing to resume; leave out --resume, or name the folder of the evaluation with -o")
    folder.mkdir(parents=True, exist_ok=True)
    EvalConfig.of(exam, candidate).settle(folder / CONFIG)
    answers = [(PredictionFiles(folder / name), predictor) for name, predictor in candidate.predictors(exam).items()]
    videos = list(exam.videos) if shard is None else shard.of(list(exam.videos))
    indices = [index for video in videos for index in exam.videos[video]]
    failed = 0
    for done, index in enumerate(indices, start=1):
        name = exam.name(index)
        if missing := [(files, predictor) for files, predictor in answers if not files.has(name)]:
            failed += not _answer(exam, index, missing)
        if progress:
            progress(done, len(indices))
    return failed


def score(
    exam: Exam, folder: Path, out_dir: Path | None = None, protocol: Protocol = SAYMASK, progress: Progress | None = None
) -> dict[str, Any]:
    """Score the predictions in a folder and write the results.

    Args:
        exam: what should have been predicted; without a limit it takes that of the folder's evaluation.
        folder: of `predict`, or of anyone's predictions (`find_predictions`).
        out_dir: for the results, None = `folder`; results of the same protocol that are there are replaced.
        protocol: definitions of the scores.
        progress: called with the numbers of expressions done and to do.

    Returns:
        What was written.

    Raises:
        ConfigError: the folder holds the evaluation of another exam.
        DataError: it holds nothing of this one, or the exam has no truth to compare with.
        VideoError: the disk refuses.
    """
    if is_evaluation(folder):
        config = EvalConfig.load(folder / CONFIG)
        exam = exam if exam.limit else replace(exam, limit=config.limit)
        config.require_exam(exam, folder / CONFIG)
        predictors = _own_rows(exam, config, folder)
    else:
        config = EvalConfig.of_files(exam, folder)
        predictors = {config.predictor: find_predictions(folder, exam)}
    results = {
        **config.model_dump(),
        "config_sha256": config.digest(),
        "protocol": protocol.name,
        "left_out": list(exam.samples.left_out),
        "run": circumstances(),
        "rows": score_rows(exam, predictors, protocol, progress),
    }
    path = (out_dir or folder) / results_name(protocol)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_file(path) as draft:
        draft.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def score_rows(
    exam: Exam, predictors: Mapping[str, Predictor], protocol: Protocol = SAYMASK, progress: Progress | None = None
) -> dict[str, dict[str, Any]]:
    """Score several predictors side by side -> {row: `summarise_row`}; needs no more memory than one video at a time.

    Args:
        exam, protocol, progress: as for `score`.
        predictors: by the name of their row; asked about the samples of one video after the other.

    Raises:
        SaymaskError: a truth cannot be loaded; without it there is nothing to compare with.
    """
    benchmark = exam.samples.benchmark
    entries: dict[str, dict[int, Entry]] = {row: {} for row in predictors}
    objects: dict[str, list[list[list[ObjectScores]]]] = {row: [] for row in predictors}
    done = 0
    for name, indices in exam.videos.items():
        samples = [exam.samples[index] for index in indices]
        foreground_THW = None
        if benchmark.table == "revos":
            foreground_THW = foreground([exam.samples[index] for index in exam.whole_videos[name]])
        for index, sample in zip(indices, samples, strict=True):
            for row, predictor in predictors.items():
                entries[row][index] = score_expression(sample, predictor, protocol, foreground_THW)
            done += 1
            if progress:
                progress(done, len(exam))
        if benchmark.table == "ref-davis" and is_complete(samples):
            for row, predictor in predictors.items():
                objects[row].append(objects_by_annotator(samples, predictor, protocol))
    in_order = {row: [entry for _, entry in sorted(of_row.items())] for row, of_row in entries.items()}
    complete = all(len(of_row) == len(exam.videos) for of_row in objects.values())
    return {row: summarise_row(in_order[row], benchmark, protocol, objects[row] if complete else None) for row in predictors}


def is_evaluation(folder: Path) -> bool:
    """Whether `predict` has written into a folder."""
    return (folder / CONFIG).exists()


def results_name(protocol: Protocol) -> str:
    """What the file of results under a protocol is called."""
    return "results.json" if protocol == SAYMASK else f"results-{protocol.name}.json"


def _answer(exam: Exam, index: int, missing: Sequence[tuple[PredictionFiles, Predictor]]) -> bool:
    """Ask for the answers that one sample lacks, and keep them or the reason why there is none; whether all could be had."""
    try:
        sample = exam.samples[index]
    except SaymaskError as error:
        for files, _ in missing:
            files.write_failure(exam.name(index), error)
        return False
    complete = True
    for files, predictor in missing:
        try:
            prediction = predictor(sample)
        except SaymaskError as error:
            files.write_failure(exam.name(index), error)
            complete = False
        else:
            files.write(sample, prediction)
    return complete


def _own_rows(exam: Exam, config: EvalConfig, folder: Path) -> dict[str, Predictor]:
    """Rows of an evaluation of ours; a model is shown beside the baselines where the exam allows."""
    own = PredictionFiles(folder / OWN)
    if config.predictor != "session":
        return {config.predictor: own}
    if not exam.samples.benchmark.outlines_everything:
        return {"model": own}
    return {"model": own, **BASELINES, "swapped": PredictionFiles(folder / SWAPPED)}
