"""gIoU and cIoU of single images: the measures of refCOCO and ReasonSeg (LISA, section 4.1).

Both start from the pixel counts of every mask, int64 counts_N2 of (intersection, union). gIoU is the mean of the masks' IoU, so each
counts alike; cIoU divides the sum of all intersections by the sum of all unions, so large objects count more. A mask that is empty
on both sides agrees completely (IoU 1) and adds nothing to cIoU.
"""

from __future__ import annotations

import numpy as np

from saymask.metrics.protocols import SAYMASK, Protocol

_IOU_EPSILON = 1e-5
_CIOU_EPSILON = 1e-10


def iou_counts(mask_HW: np.ndarray, truth_HW: np.ndarray, ignore_HW: np.ndarray | None = None) -> tuple[int, int]:
    """Count a mask's intersection and union with the truth, in pixels; those where `ignore` is set do not count."""
    if mask_HW.shape != truth_HW.shape or mask_HW.ndim != 2:
        raise ValueError(f"mask {mask_HW.shape} and truth {truth_HW.shape} must be images of one shape")
    counts_HW = np.ones(mask_HW.shape, dtype=bool) if ignore_HW is None else ~np.asarray(ignore_HW, dtype=bool)
    mask_HW, truth_HW = np.asarray(mask_HW, dtype=bool) & counts_HW, np.asarray(truth_HW, dtype=bool) & counts_HW
    return int(np.count_nonzero(mask_HW & truth_HW)), int(np.count_nonzero(mask_HW | truth_HW))


def ious(counts_N2: np.ndarray, protocol: Protocol = SAYMASK) -> np.ndarray:
    """IoU of every mask -> float64 (N,), 1 where prediction and truth are both empty."""
    intersection_N, union_N = _columns(counts_N2)
    epsilon = _IOU_EPSILON if protocol.epsilons else 0.0
    return np.divide(intersection_N, union_N + epsilon, out=np.ones(len(union_N)), where=union_N > 0)


def giou(counts_N2: np.ndarray, protocol: Protocol = SAYMASK) -> float:
    """gIoU: the mean of the masks' IoU."""
    iou_N = ious(counts_N2, protocol)
    return float(iou_N.sum() / (len(iou_N) + (_IOU_EPSILON if protocol.epsilons else 0.0)))


def ciou(counts_N2: np.ndarray, protocol: Protocol = SAYMASK) -> float:
    """cIoU: all intersections over all unions; 1 if nothing was there and nothing was predicted, where the released script gives 0."""
    intersection_N, union_N = _columns(counts_N2)
    if protocol.epsilons:
        return float(intersection_N.sum() / (union_N.sum() + _CIOU_EPSILON))
    return float(intersection_N.sum() / union_N.sum()) if union_N.any() else 1.0


def _columns(counts_N2: np.ndarray) -> np.ndarray:
    """The counts as two vectors (2, N), at least one mask long."""
    counts_N2 = np.asarray(counts_N2)
    if counts_N2.ndim != 2 or counts_N2.shape[1] != 2 or not len(counts_N2):
        raise ValueError(f"expected a row (intersection, union) for each of at least one mask, got shape {counts_N2.shape}")
    return counts_N2.T
