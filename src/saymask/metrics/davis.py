"""Object by object: the two tasks of DAVIS, answers of several instances, and Ref-DAVIS17.

Every true object gets a prediction: the one of its own label (semi-supervised), or the one an optimal assignment gives it when labels
mean nothing (unsupervised, instances). Its J and F per frame become mean, recall and decay; a dataset's numbers are means over its
objects, not over its videos.

Label maps are uint8 ids_THW: 0 background, 255 void, otherwise the object. The functions take one video and return its objects, so a
dataset needs no more memory than a video; `summarise` takes the objects of all. N counts predicted instances, M true ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from saymask.errors import DataError
from saymask.metrics.matching import assign
from saymask.metrics.protocols import SAYMASK, Protocol
from saymask.metrics.region_contour import contour_accuracy, region_similarity, video_scores

VOID = 255


@dataclass(frozen=True)
class ObjectScores:
    """J and F of one object on every frame that counts: float64 (T,) each."""

    j_T: np.ndarray
    f_T: np.ndarray


def series_statistics(values_T: np.ndarray, protocol: Protocol = SAYMASK) -> dict[str, float]:
    """Mean, recall and decay of a score through time.

    Recall is the share of frames with a score above 0.5; decay is the mean over the first quarter minus that over the last, where
    neighbouring quarters share a frame. NaN marks a frame without a score: it enters no mean, and recall counts it as missed.
    """
    values_T = np.asarray(values_T, dtype=np.float64)
    if values_T.ndim != 1 or not len(values_T):
        raise ValueError(f"expected a score for each of at least one frame, got shape {values_T.shape}")
    # The benchmark rounds halves up by a hair before numpy would round them to even.
    bounds = (np.round(np.linspace(1, len(values_T), 5) + 1e-10) - 1).astype(np.int64)
    starts, stops = bounds[:-1], bounds[1:] + 1
    if protocol.byte_bins:
        starts, stops = starts.astype(np.uint8), stops.astype(np.uint8)
    first, last = values_T[starts[0] : stops[0]], values_T[starts[-1] : stops[-1]]
    return {"mean": _mean(values_T), "recall": float(np.mean(values_T > 0.5)), "decay": _mean(first) - _mean(last)}


def summarise(objects: Sequence[ObjectScores], protocol: Protocol = SAYMASK) -> dict[str, float]:
    """Average over objects: j_and_f, and mean (j, f), recall and decay of both (j_recall, j_decay, f_recall, f_decay).

    Raises:
        ValueError: no objects.
    """
    if not objects:
        raise ValueError("no objects to summarise")
    j = _mean_statistics([scores.j_T for scores in objects], protocol)
    f = _mean_statistics([scores.f_T for scores in objects], protocol)
    return {
        "j_and_f": (j["mean"] + f["mean"]) / 2,
        "j": j["mean"],
        "j_recall": j["recall"],
        "j_decay": j["decay"],
        "f": f["mean"],
        "f_recall": f["recall"],
        "f_decay": f["decay"],
    }


def semi_supervised(ids_THW: np.ndarray, truth_ids_THW: np.ndarray, protocol: Protocol = SAYMASK) -> list[ObjectScores]:
    """Score objects whose labels are known, in the order of their labels; an object that is not predicted is empty.

    Raises:
        DataError: no object, a predicted label that no object has, or no frame left to score.
    """
    num_objects = _num_objects(truth_ids_THW, protocol)
    largest = int(ids_THW.max())
    if largest > num_objects:
        raise DataError(f"the prediction has label {largest}, but the objects are 1 to {num_objects}; remove or renumber it")
    if protocol.drop_end_frames:
        if len(ids_THW) < 3:
            raise DataError(f"{len(ids_THW)} frames leave none to score: protocol {protocol.name} drops the first and the last")
        ids_THW, truth_ids_THW = ids_THW[1:-1], truth_ids_THW[1:-1]
    void_THW = None if protocol.ignore_void else truth_ids_THW == VOID
    return [ObjectScores(*video_scores(ids_THW == label, truth_ids_THW == label, void_THW)) for label in range(1, num_objects + 1)]


def unsupervised(ids_THW: np.ndarray, truth_ids_THW: np.ndarray, protocol: Protocol = SAYMASK) -> list[ObjectScores]:
    """Score proposals, whose labels mean nothing, as `instances` does; void pixels do not count.

    Raises:
        DataError: no object, or more proposals than the protocol allows.
    """
    num_objects = _num_objects(truth_ids_THW, protocol)
    largest = int(ids_THW.max())
    if protocol.max_proposals is not None and largest > protocol.max_proposals:
        raise DataError(f"proposal {largest}, but protocol {protocol.name} allows {protocol.max_proposals}; keep and number the best ones")
    if protocol.pad_proposals:  # labels that do not occur are empty proposals
        labels_N = np.arange(1, max(largest, num_objects) + 1)
    else:
        labels_N = np.flatnonzero(np.bincount(ids_THW.ravel())[1:]) + 1
    labels_N11, labels_M11 = labels_N[:, None, None], np.arange(1, num_objects + 1)[:, None, None]
    frames = zip(ids_THW, truth_ids_THW, strict=True)
    scores = (_pair_scores(ids_HW == labels_N11, true_HW == labels_M11, true_HW == VOID) for ids_HW, true_HW in frames)
    return _matched(scores, protocol)


def instances(
    masks_NTHW: np.ndarray, truth_MTHW: np.ndarray, void_THW: np.ndarray | None = None, protocol: Protocol = SAYMASK
) -> list[ObjectScores]:
    """Score predicted instances against the true ones, one to one, so that the mean of J and F over all pairs is the best possible.

    First come the true instances in their order. One that gets no prediction scores 0, and so does, at the end of the list, every
    predicted instance left over: how many there are is part of the answer. A predicted instance without a pixel is none.

    Args:
        masks_NTHW, truth_MTHW: bool masks.
        void_THW: pixels that do not count.
        protocol: the definitions, or a script's deviations from them.
    """
    if protocol.pad_proposals:
        missing = max(len(truth_MTHW) - len(masks_NTHW), 0)
        masks_NTHW = np.concatenate([masks_NTHW, np.zeros((missing, *truth_MTHW.shape[1:]), dtype=bool)])
    else:
        masks_NTHW = masks_NTHW[masks_NTHW.any(axis=(1, 2, 3))]
    void_frames = [None] * truth_MTHW.shape[1] if void_THW is None else void_THW
    frames = zip(masks_NTHW.swapaxes(0, 1), truth_MTHW.swapaxes(0, 1), void_frames, strict=True)
    return _matched((_pair_scores(*frame) for frame in frames), protocol)


def ref_davis(masks_NATHW: np.ndarray, truth_ids_THW: np.ndarray, protocol: Protocol = SAYMASK) -> list[list[ObjectScores]]:
    """Ref-DAVIS17: score the answers to every annotator's expressions -> the video's objects, once per annotator.

    Args:
        masks_NATHW: bool masks of the answer about object N in the words of annotator A; the benchmark's files number the expressions
            of a video N * 4 + A.
        truth_ids_THW: label map of the video's N objects.
        protocol: by default every answer is compared with its own object; with `merge_expressions`, those of one annotator are drawn
            into one label map and its labels are matched with the objects anew.
    """
    if protocol.merge_expressions:
        return [unsupervised(merge_expressions(masks_NTHW), truth_ids_THW, protocol) for masks_NTHW in masks_NATHW.swapaxes(0, 1)]
    return [
        [ObjectScores(*video_scores(masks, truth_ids_THW == label, truth_ids_THW == VOID)) for label, masks in enumerate(masks_NTHW, 1)]
        for masks_NTHW in masks_NATHW.swapaxes(0, 1)
    ]


def summarise_annotators(videos: Sequence[Sequence[Sequence[ObjectScores]]], protocol: Protocol = SAYMASK) -> dict[str, float]:
    """Ref-DAVIS17's numbers: `summarise` per annotator over the objects of all videos, as `ref_davis` gave them, then the mean."""
    per_annotator = [
        summarise([scores for objects in of_annotator for scores in objects], protocol) for of_annotator in zip(*videos, strict=True)
    ]
    return {measure: float(np.mean([table[measure] for table in per_annotator])) for measure in per_annotator[0]}


def merge_expressions(masks_NTHW: np.ndarray) -> np.ndarray:
    """Draw masks into one uint8 label map ids_THW, N becoming label N + 1; where masks overlap the lowest label stays."""
    present_NTHW = np.asarray(masks_NTHW, dtype=bool)
    return np.where(present_NTHW.any(axis=0), present_NTHW.argmax(axis=0) + 1, 0).astype(np.uint8)


def _pair_scores(masks_NHW: np.ndarray, truth_MHW: np.ndarray, void_HW: np.ndarray | None) -> np.ndarray:
    """J and F on one frame of every predicted with every true instance -> (2, N, M)."""
    scores_2NM = np.zeros((2, len(masks_NHW), len(truth_MHW)))
    for n, m in np.ndindex(scores_2NM.shape[1:]):
        pair = masks_NHW[n], truth_MHW[m], void_HW
        scores_2NM[:, n, m] = region_similarity(*pair), contour_accuracy(*pair)
    return scores_2NM


def _matched(frame_scores: Iterable[np.ndarray], protocol: Protocol) -> list[ObjectScores]:
    """Choose the best pairs of a video from its frames' (2, N, M) scores; see `instances` for the order."""
    j_NMT, f_NMT = np.stack(list(frame_scores), axis=-1)
    proposals, objects = assign(-(j_NMT + f_NMT).mean(axis=2))
    found = [ObjectScores(j_NMT[n, m], f_NMT[n, m]) for n, m in zip(proposals, objects, strict=True)]
    if protocol.pad_proposals:
        return found
    num_proposals, num_objects, num_frames = j_NMT.shape
    nothing = ObjectScores(np.zeros(num_frames), np.zeros(num_frames))
    by_object = dict(zip(objects.tolist(), found, strict=True))
    return [by_object.get(m, nothing) for m in range(num_objects)] + [nothing] * (num_proposals - len(found))


def _num_objects(truth_ids_THW: np.ndarray, protocol: Protocol) -> int:
    """The largest label of a true object."""
    where = truth_ids_THW[:1] if protocol.first_frame_objects else truth_ids_THW
    num_objects = int(where.max(initial=0, where=where != VOID))
    if not num_objects:
        raise DataError(f"the truth has no object{' on its first frame' if protocol.first_frame_objects else ''}; check its label maps")
    return num_objects


def _mean_statistics(series: Sequence[np.ndarray], protocol: Protocol) -> dict[str, float]:
    """Mean of each of the series' statistics."""
    statistics = [series_statistics(values_T, protocol) for values_T in series]
    return {name: float(np.mean([of_one[name] for of_one in statistics])) for name in statistics[0]}


def _mean(values: np.ndarray) -> float:
    """Mean of what is not NaN; NaN if nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
