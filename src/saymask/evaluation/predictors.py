"""What can be measured: a model, the same model asked the wrong question, and baselines that ignore the question.

A predictor is a function `Sample -> Prediction` with exactly one result; one that cannot answer raises a `SaymaskError`.
The baselines say what a score is worth. `empty` never answers. `largest` and `union` know the true outline of every thing in the
video but not the question. The swapped row has the model itself answer another video's question: what is left of its score then does
not come from following the sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from saymask.errors import DataError
from saymask.records import Expression, Masklet, Prediction, QueryResult, Rle, Sample

if TYPE_CHECKING:
    from saymask.models.base import Segmenter
    from saymask.trackers.base import Tracker

Predictor = Callable[[Sample], Prediction]


def sample_name(sample: Sample) -> str:
    """What reports call a sample: video and expression."""
    return f"{sample.video.name}/{sample.expression.exp_id}"


def own_and_swapped_predictors(
    segmenter: Segmenter, questions: dict[str, str], answer: str = "forced", tracker: Tracker | None = None
) -> tuple[Predictor, Predictor]:
    """The model asked the sample's own question, and another one; a pair that encodes each video once, if asked sample by sample.

    Args:
        segmenter: the model.
        questions: the swapped question of every sample, from `swapped_questions`.
        answer, tracker: as in `VideoSession`.
    """
    latest: dict[str, Prediction] = {}

    def ask(sample: Sample, which: int) -> Prediction:
        name = sample_name(sample)
        if name not in latest:
            latest.clear()
            latest[name] = _ask(segmenter, sample, [sample.expression.text, questions[name]], answer, tracker)
        return Prediction(sample.video, (latest[name].results[which],))

    return lambda sample: ask(sample, 0), lambda sample: ask(sample, 1)


def swapped_questions(samples: Sequence[Sample], count: int) -> dict[str, str]:
    """Pick another sample's question for each of the first `count` samples, by sample name.

    It is the next question of the same family that is worded differently, counting round the end; where the family has
    none, the next one of any family. So it does not depend on `count`.

    Raises:
        DataError: all questions are the same.
    """

    @cache
    def question(index: int) -> tuple[str, Expression]:
        sample = samples[index]
        return sample_name(sample), sample.expression

    swapped = {}
    for index in range(count):
        name, own = question(index)
        others = (question((index + step) % len(samples))[1] for step in range(1, len(samples)))
        text = _first_different(own, others)
        if text is None:
            raise DataError(f"no question to swap {own.text!r} with: all {len(samples)} samples ask it")
        swapped[name] = text
    return swapped


def _first_different(own: Expression, others: Iterable[Expression]) -> str | None:
    """The first other wording within the family, else the first of any family, else None."""
    of_any_family = None
    for other in others:
        if other.text == own.text:
            continue
        if other.tags.get("family") == own.tags.get("family"):
            return other.text
        of_any_family = of_any_family or other.text
    return of_any_family


def empty_predictor(sample: Sample) -> Prediction:
    """No pixel on any frame."""
    video = sample.video
    return _predict(sample, np.zeros((video.num_frames, video.height, video.width), dtype=bool))


def largest_thing_predictor(sample: Sample) -> Prediction:
    """The true mask of the thing that shows the most pixels over the whole video."""
    ids_THW = _thing_ids(sample)
    pixels_of_id = np.bincount(ids_THW.ravel(), minlength=2)
    largest = 1 + int(pixels_of_id[1:].argmax())
    return _predict(sample, ids_THW == largest)


def union_predictor(sample: Sample) -> Prediction:
    """The true masks of all things together."""
    return _predict(sample, _thing_ids(sample) > 0)


def _ask(segmenter: Segmenter, sample: Sample, questions: list[str], answer: str, tracker: Tracker | None) -> Prediction:
    # Here and not above: training evaluates too and must not need the libraries that read video files.
    from saymask.pipeline import VideoSession

    with closing(VideoSession(sample.video, segmenter, tracker)) as session:
        return session.segment(questions, answer=answer)


def _thing_ids(sample: Sample) -> np.ndarray:
    """The sample's uint8 ids_THW: 0 background, i + 1 = thing i."""
    if sample.regions is None:
        raise DataError(f"{sample_name(sample)}: this baseline needs the outline of every thing, which the dataset does not state")
    return sample.regions.load()


def _predict(sample: Sample, masks_THW: np.ndarray) -> Prediction:
    """Wrap masks as the only result for the sample's question."""
    frame_scores_T = np.array([mask_HW.any() for mask_HW in masks_THW], dtype=np.float32)
    masklet = Masklet(1, tuple(Rle.encode(mask_HW) for mask_HW in masks_THW), frame_scores_T)
    return Prediction(sample.video, (QueryResult(sample.expression.text, "", (masklet,)),))
