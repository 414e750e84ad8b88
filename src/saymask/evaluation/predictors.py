"""What can be measured without a model: truths that say how high a score can get, and baselines that say what it is worth.

A predictor is a function `Sample -> Prediction` with exactly one result; one that cannot answer raises a `SaymaskError`.
`oracle` knows everything, `first_frame_held` only the first frame on which the target shows, `empty` never answers. `largest` and `union`
know the true outline of everything in the video but not the question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from saymask.records import Masklet, Prediction, QueryResult, Rle
from saymask.samples import Sample

Predictor = Callable[[Sample], Prediction]


def oracle(sample: Sample) -> Prediction:
    """The true masks of each object."""
    return predict_masks(sample, sample.instances_NTHW)


def first_frame_held(sample: Sample) -> Prediction:
    """The true mask of the first frame on which the target shows, on that frame and all later ones: perfect, but for any motion."""
    masks_THW = sample.masks_THW
    shows_T = masks_THW.any(axis=(1, 2))
    if shows_T.any():
        first = int(shows_T.argmax())
        masks_THW[first:] = masks_THW[first]
    return predict_masks(sample, masks_THW[None])


def empty(sample: Sample) -> Prediction:
    """No pixel on any frame."""
    video = sample.video
    return predict_masks(sample, np.zeros((1, video.num_frames, video.height, video.width), dtype=bool))


def largest(sample: Sample) -> Prediction:
    """The true mask of the region that shows the most pixels over the whole video."""
    ids_THW = sample.regions(range(sample.video.num_frames))
    pixels_of_id = np.bincount(ids_THW.ravel(), minlength=2)
    return predict_masks(sample, (ids_THW == 1 + int(pixels_of_id[1:].argmax()))[None])


def union(sample: Sample) -> Prediction:
    """The true masks of all regions together."""
    return predict_masks(sample, (sample.regions(range(sample.video.num_frames)) > 0)[None])


WITHOUT_MODEL: Mapping[str, Predictor] = {"oracle": oracle, "empty": empty, "first_frame_held": first_frame_held}
"""What can be evaluated on any dataset in place of a model."""

BASELINES: Mapping[str, Predictor] = {"empty": empty, "largest": largest, "union": union}
"""What stands beside a model where the dataset outlines everything (`Sample.regions`)."""


def predict_masks(sample: Sample, masks_NTHW: np.ndarray) -> Prediction:
    """Wrap bool masks of N objects as the only result for the sample's question."""
    masklets = []
    for obj_id, masks_THW in enumerate(masks_NTHW, start=1):
        frame_scores_T = masks_THW.any(axis=(1, 2)).astype(np.float32)
        masklets.append(Masklet(obj_id, tuple(map(Rle.encode, masks_THW)), frame_scores_T))
    return Prediction(sample.video, (QueryResult(sample.expression.text, "", tuple(masklets)),))
