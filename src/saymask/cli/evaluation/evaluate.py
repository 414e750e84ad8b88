"""`saymask eval DATASET`: measure a model on a dataset, or score predictions that somebody has made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from saymask.batch.per_video import Wording
from saymask.cli.output import free_folder, note, progress_bar, say, shown
from saymask.cli.segment import (
    OUT,
    AnswerOption,
    DeviceOption,
    DtypeOption,
    EveryOption,
    MinPresenceOption,
    ModelOption,
    SetOption,
    TemplateOption,
    TrackerOption,
    TrackerWeightsOption,
    VisionTowerOption,
    load_chosen_tracker,
)
from saymask.errors import ConfigError
from saymask.models import choice
from saymask.runtime import Runtime, Shard

if TYPE_CHECKING:
    from saymask.evaluation.candidates import Candidate
    from saymask.evaluation.exam import Exam


def evaluate(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A dataset of `saymask list`.")],
    model: ModelOption = choice.AUTO,
    root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The dataset's folder; from the environment or the settings file if not given."),
    ] = None,
    split: Annotated[str, typer.Option(help="Which part of the dataset.")] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N samples.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Output folder; saymask-out/eval-<dataset>-<split> if not given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume from the predictions in the output folder.")] = False,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Predict only this part of the videos; give all parts the same output folder.")
    ] = None,
    score_only: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Predict nothing; score this folder's predictions, also those of other software.",
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="How scores are defined: by us, or as in a published script (docs/evaluation.md).")
    ] = "saymask",
    predictor: Annotated[
        Literal["session", "oracle", "empty", "first_frame_held"],
        typer.Option(help="session: the model; the others: baselines without one."),
    ] = "session",
    answer: AnswerOption = None,
    template: TemplateOption = None,
    min_presence: MinPresenceOption = None,
    settings: SetOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    vision_tower: VisionTowerOption = None,
    tracker: TrackerOption = None,
    tracker_weights: TrackerWeightsOption = None,
    every: EveryOption = None,
) -> None:
    """Measure J, F, J&F and the dataset's own scores; writes predictions and results.json."""
    from saymask.evaluation.exam import open_exam
    from saymask.evaluation.run import is_evaluation, predict, results_name, score
    from saymask.metrics.protocols import protocol_named
    from saymask.reports.table import format_table

    if score_only and (resume or shard or tracker or predictor != "session"):
        raise ConfigError("--score-only predicts nothing; leave out --predictor, --resume, --shard and -t")
    part = Shard.parse(shard) if shard else None
    rules = protocol_named(protocol)
    exam = open_exam(dataset, split, root, limit)
    secret = not exam.masks_are_public
    if secret and (score_only or predictor in ("oracle", "first_frame_held")):
        raise ConfigError(
            f"the true masks of {dataset} {split} are not public, so nothing can be scored here; predict with -m MODEL, then pack the "
            f"predictions for the benchmark's server with `saymask submission {dataset} DIR -o {dataset}.zip`"
        )
    title = f"{dataset} {split}"
    if score_only:
        folder = score_only
        results_folder = folder if is_evaluation(folder) and out is None else _folder(out, dataset, split, keep=False)
    else:
        runtime = Runtime.choose(device, dtype)
        asked = Wording(template or exam.samples.benchmark.templates.get(rules.name), answer, min_presence, tuple(settings or ()))
        candidate = _candidate(exam, predictor, model, asked, runtime, vision_tower, tracker, tracker_weights, every)
        folder = results_folder = _folder(out, dataset, split, keep=resume or part is not None)
        with progress_bar(f"{title}: predicting") as progress, _how_to_go_on(folder):
            failed = predict(exam, candidate, folder, part, resume, progress)
        if part or secret:
            _say_what_is_next(dataset, split, root, folder, shard, secret, failed)
            return
    with progress_bar(f"{title}: scoring") as progress:
        results = score(exam, folder, results_folder, rules, progress)
    say(format_table(results))
    say(f"wrote {shown(results_folder / results_name(rules))}")


def _candidate(
    exam: Exam,
    predictor: str,
    model: str,
    asked: Wording,
    runtime: Runtime,
    vision_tower: Path | None,
    tracker: str | None,
    tracker_weights: Path | None,
    every: int | None,
) -> Candidate:
    """Load who is to take the exam; `asked` is what --template, --answer, --min-presence and --set say."""
    from saymask.evaluation.candidates import with_model, without_model
    from saymask.models.checkpoints import load_model
    from saymask.session.asking import require_masks_of_any_frame

    if predictor != "session":
        if tracker or every:
            option = f"-t {tracker}" if tracker else f"--every {every}"
            raise ConfigError(f"{option} has nothing to track: --predictor {predictor} needs no model; leave out one of them")
        return without_model(predictor)
    chosen_tracker = load_chosen_tracker(tracker, tracker_weights, runtime)
    if model == choice.AUTO:
        model = choice.choose(exam.samples[0].video)
    segmenter = load_model(model, runtime, vision_tower)
    if every is not None:
        require_masks_of_any_frame(segmenter, every)  # before every prediction fails for it
    return with_model(segmenter, chosen_tracker, asked.options(segmenter), runtime.dtype, every)


def _folder(out: Path | None, dataset: str, split: str, keep: bool) -> Path:
    """The output folder: the one that is named if it is to be gone on with (`keep`), otherwise one that is free."""
    wanted = out or OUT / f"eval-{dataset}-{split}"
    return wanted.resolve() if keep else free_folder(wanted)


def _say_what_is_next(dataset: str, split: str, root: Path | None, folder: Path, shard: str | None, secret: bool, failed: int) -> None:
    """Predictions that are not scored now: because they are a part, or because the truth is not public."""
    where = f" --root {shown(root)}" if root else ""
    say(f"wrote {f'part {shard} of ' if shard else ''}the predictions to {shown(folder)}")
    if failed:
        note(f"{failed} of them failed; their files say why, and the same command with -o {shown(folder)} --resume tries them again")
    when = "when all parts are there, " if shard else ""
    if secret:
        say(f"the true masks of {dataset} {split} are not public; a server scores them")
        say(f"{when}pack them for it: saymask submission {dataset} {shown(folder)} -o {dataset}.zip{where}")
    else:
        say(f"{when}score them: saymask eval {dataset} --split {split} --score-only {shown(folder)}{where}")


@contextmanager
def _how_to_go_on(folder: Path) -> Iterator[None]:
    """After Ctrl-C, say that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"the predictions so far are in {shown(folder)}; go on with the same command and -o {shown(folder)} --resume")
        raise
