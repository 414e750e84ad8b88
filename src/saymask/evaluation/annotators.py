"""Ref-DAVIS17, where several people describe every object: the answers to each person's expressions as one attempt at the whole video.

Its published score is a mean over objects per annotator, then over annotators; under the published protocol an attempt is first drawn
into one label map.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saymask.errors import SaymaskError
from saymask.evaluation.predictors import Predictor
from saymask.evaluation.scoring import predicted_masks
from saymask.metrics.davis import VOID, ObjectScores, ref_davis
from saymask.metrics.protocols import SAYMASK, Protocol
from saymask.samples import Sample


def is_complete(samples: Sequence[Sample]) -> bool:
    """Whether these samples of a video are every annotator's expressions about every object."""
    places = [_place(sample) for sample in samples]
    annotators, objects = {annotator for annotator, _ in places}, {obj for _, obj in places}
    return len(set(places)) == len(places) == len(annotators) * len(objects)


def objects_by_annotator(samples: Sequence[Sample], predictor: Predictor, protocol: Protocol = SAYMASK) -> list[list[ObjectScores]]:
    """Score a video -> its objects once per annotator, as `summarise_annotators` takes them.

    Args:
        samples: all expressions of the video.
        predictor: asked about each; where it fails, the object is not there.
        protocol: may merge an annotator's answers.
    """
    sample_at = {_place(sample): sample for sample in samples}
    annotators, objects = sorted({place[0] for place in sample_at}), sorted({place[1] for place in sample_at}, key=int)
    video = samples[0].video
    truth_ids_THW = np.zeros((video.num_frames, video.height, video.width), dtype=np.uint8)
    for number, obj in enumerate(objects, start=1):
        truth_ids_THW[sample_at[annotators[0], obj].masks_THW] = number
    if (ignore_THW := samples[0].ignore_THW) is not None:
        truth_ids_THW[ignore_THW] = VOID
    scores = []
    for annotator in annotators:  # one at a time: all answers together can be large
        masks_N1THW = np.stack([_answer(sample_at[annotator, obj], predictor)[None] for obj in objects])
        scores += ref_davis(masks_N1THW, truth_ids_THW, protocol)
    return scores


def _place(sample: Sample) -> tuple[str, str]:
    """Annotator and object."""
    tags = sample.expression.tags
    return tags["annotator"], tags["obj"]


def _answer(sample: Sample, predictor: Predictor) -> np.ndarray:
    """The predicted bool masks_THW, empty if there is no prediction."""
    try:
        return np.logical_or.reduce(predicted_masks(predictor, sample), axis=0)
    except SaymaskError:
        video = sample.video
        return np.zeros((video.num_frames, video.height, video.width), dtype=bool)
