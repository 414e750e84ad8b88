"""One prediction beside the truth: what `results.json` says about an expression.

An entry holds `name`, `video`, `text`, `tags`, `has_target`, `answered` (is any pixel predicted?) and scores: those of
`expression_scores`; `intersection` and `union`, in pixels, for an image; `instance_j_and_f` and `identity_switches` where several
objects are meant, each predicted object being compared with the one that suits it best; `presence`, where the model says how sure it is,
as pairs of what it said about an object, in the video or on a frame, and what is true. Without a prediction, an entry has an `error` and
all its scores are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from saymask.errors import DataError, SaymaskError
from saymask.evaluation.expressions import expression_scores
from saymask.evaluation.predictors import Predictor
from saymask.metrics.davis import instances, summarise
from saymask.metrics.identity import identity_switches, pairwise_iou
from saymask.metrics.iou import iou_counts
from saymask.metrics.matching import assign
from saymask.metrics.protocols import SAYMASK, Protocol
from saymask.records import Masklet
from saymask.samples import Sample

Entry = dict[str, Any]


def score_expression(sample: Sample, predictor: Predictor, protocol: Protocol = SAYMASK, foreground_THW: np.ndarray | None = None) -> Entry:
    """Compare a predictor's answer to one sample with its true masks.

    Args:
        sample: with masks that can be loaded.
        predictor: asked once. If it raises a `SaymaskError`, the scores are 0 and the entry says why.
        protocol: definitions of the scores.
        foreground_THW: everything that questions about the video can mean, for accuracy and R.

    Raises:
        SaymaskError: the truth cannot be had, so there is no score.
    """
    truth_MTHW, ignore_THW, expression = sample.instances_NTHW, sample.ignore_THW, sample.expression
    truth_HW = np.logical_or.reduce(truth_MTHW[:, 0]) if sample.video.num_frames == 1 else None  # of an image
    entry: Entry = {
        "name": sample.name,
        "video": sample.video.name,
        "text": expression.text,
        "tags": dict(expression.tags),
        "has_target": bool(expression.obj_ids),
    }
    try:
        masklets, masks_NTHW = predicted_objects(predictor, sample)
    except SaymaskError as error:
        entry |= {"j": 0.0, "f": 0.0, "j_and_f": 0.0, "error": str(error)}
        if truth_HW is not None:  # at least a pixel, or nothing would be right where nothing is asked for
            entry |= {"intersection": 0, "union": max(1, int(truth_HW.sum()))}
        return entry | {"instance_j_and_f": 0.0} if len(truth_MTHW) > 1 else entry
    masks_THW = np.logical_or.reduce(masks_NTHW, axis=0)
    entry["answered"] = bool(masks_THW.any())
    entry |= expression_scores(masks_THW, truth_MTHW, ignore_THW, foreground_THW, protocol)
    if truth_HW is not None:
        ignore_HW = None if ignore_THW is None else ignore_THW[0]
        entry["intersection"], entry["union"] = iou_counts(masks_THW[0], truth_HW, ignore_HW)
    if len(truth_MTHW) > 1:
        entry["instance_j_and_f"] = summarise(instances(masks_NTHW, truth_MTHW, ignore_THW, protocol), protocol)["j_and_f"]
        entry["identity_switches"] = identity_switches(masks_NTHW, truth_MTHW)
    if said := said_presence(masklets, masks_NTHW, truth_MTHW):
        entry["presence"] = said
    return entry


def said_presence(masklets: Sequence[Masklet], masks_NTHW: np.ndarray, truth_MTHW: np.ndarray) -> list[list[float]]:
    """[probability, 0 or 1] for every predicted object, in the video and on each frame of which the model says it.

    A sole object answers the whole query, so its truth is that of all true objects together; of several each stands for the true one that
    it overlaps in the best assignment of tubes, and one that overlaps none is not there.
    """
    own_NTHW = np.zeros_like(masks_NTHW)
    if len(masks_NTHW) == 1 and len(truth_MTHW):
        own_NTHW[0] = truth_MTHW.any(0)
    else:
        iou_NM = pairwise_iou(masks_NTHW, truth_MTHW)
        for n, m in zip(*assign(-iou_NM), strict=True):
            own_NTHW[n] = truth_MTHW[m] & (iou_NM[n, m] > 0)
    pairs: list[list[float]] = []
    for masklet, own_THW in zip(masklets, own_NTHW, strict=True):
        if masklet.presence is not None:
            pairs.append([masklet.presence, float(own_THW.any())])
        pairs += [[value, float(own_THW[frame_idx].any())] for frame_idx, value in masklet.frame_presence.items()]
    return pairs


def predicted_masks(predictor: Predictor, sample: Sample) -> np.ndarray:
    """The objects of a prediction's one result -> bool masks_NTHW of the video's size; errors as of `predicted_objects`."""
    return predicted_objects(predictor, sample)[1]


def predicted_objects(predictor: Predictor, sample: Sample) -> tuple[tuple[Masklet, ...], np.ndarray]:
    """The objects of a prediction's one result, and their masks_NTHW, bool, of the video's size.

    Raises:
        SaymaskError: there is no prediction, or it does not fit the sample.
    """
    video = sample.video
    prediction = predictor(sample)
    if len(prediction.results) != 1:
        raise DataError(f"{sample.name}: the prediction has {len(prediction.results)} results, expected 1")
    masklets, shape = prediction.results[0].masklets, (video.num_frames, video.height, video.width)
    masks_NTHW = np.zeros((len(masklets), *shape), dtype=bool)
    for masks_THW, masklet in zip(masks_NTHW, masklets, strict=True):
        found = (len(masklet.rle_T), masklet.rle_T[0].height, masklet.rle_T[0].width)
        if found != shape:
            raise DataError(f"{sample.name}: the predicted masks are {found} (frames, height, width), expected {shape}")
        for mask_HW, rle in zip(masks_THW, masklet.rle_T, strict=True):
            mask_HW[:] = rle.decode()
    return masklets, masks_NTHW


def foreground(samples: Sequence[Sample]) -> np.ndarray:
    """Union of the true masks of all expressions of a video -> bool foreground_THW (VISA, the foreground of ReVOS)."""
    foreground_THW, drawn = samples[0].masks_THW, set(samples[0].expression.obj_ids)
    for sample in samples[1:]:
        if not drawn.issuperset(sample.expression.obj_ids):
            foreground_THW |= sample.masks_THW
            drawn.update(sample.expression.obj_ids)
    return foreground_THW
