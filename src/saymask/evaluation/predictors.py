"""What can be measured without a model: truths that say how high a score can get, and baselines that say what it is worth.

A predictor is a function `Sample -> Prediction` with exactly one result; one that cannot answer raises a `SaymaskError`.
`oracle` knows everything, `first_frame_held` only the first frame on which the target shows, `empty` never answers. `largest` and `union`
know the true outline of every thing in the video but not the question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from saymask.errors import DataError
from saymask.records import Masklet, Prediction, QueryResult, Rle
from saymask.samples import Sample

Predictor = Callable[[Sample], Prediction]


def sample_name(sample: Sample) -> str:
    """What reports call a sample: video and expression."""
    return f"{sample.video.name}/{sample.expression.exp_id}"


def oracle(sample: Sample) -> Prediction:
    """The true masks, one object each where the dataset tells several apart."""
    instances_NTHW = sample.instances_NTHW
    return predict_masks(sample, sample.masks_THW[None] if instances_NTHW is None else instances_NTHW)


def first_frame_held(sample: Sample) -> Prediction:
    """The true mask of the first frame on which the target shows, on that frame and all later ones: perfect, but for any motion."""
    masks_THW = sample.masks_THW.copy()
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
    """The true mask of the thing that shows the most pixels over the whole video."""
    ids_THW = _thing_ids(sample)
    pixels_of_id = np.bincount(ids_THW.ravel(), minlength=2)
    return predict_masks(sample, (ids_THW == 1 + int(pixels_of_id[1:].argmax()))[None])


def union(sample: Sample) -> Prediction:
    """The true masks of all things together."""
    return predict_masks(sample, (_thing_ids(sample) > 0)[None])


WITHOUT_MODEL: Mapping[str, Predictor] = {"oracle": oracle, "empty": empty, "first_frame_held": first_frame_held}
"""What can be evaluated on any dataset in place of a model."""

BASELINES: Mapping[str, Predictor] = {"empty": empty, "largest": largest, "union": union}
"""What stands beside a model where the dataset outlines every thing (`Sample.regions`)."""


def predict_masks(sample: Sample, masks_NTHW: np.ndarray) -> Prediction:
    """Wrap bool masks of N objects as the only result for the sample's question."""
    masklets = []
    for obj_id, masks_THW in enumerate(masks_NTHW, start=1):
        frame_scores_T = masks_THW.any(axis=(1, 2)).astype(np.float32)
        masklets.append(Masklet(obj_id, tuple(map(Rle.encode, masks_THW)), frame_scores_T))
    return Prediction(sample.video, (QueryResult(sample.expression.text, "", tuple(masklets)),))


def _thing_ids(sample: Sample) -> np.ndarray:
    """The sample's uint8 ids_THW: 0 background, i + 1 = thing i."""
    if sample.regions is None:
        raise DataError(f"{sample_name(sample)}: this baseline needs the outline of every thing, which the dataset does not state")
    return sample.regions.load()
