"""Identity switches: how often the predicted object that covers a true one changes (the IDSW of multi-object tracking, on masks)."""

from __future__ import annotations

import numpy as np

from saymask.metrics.matching import assign

MIN_IOU = 0.5
"""A predicted object stands for a true one on a frame where they overlap by so much."""


def identity_switches(masks_NTHW: np.ndarray, truth_MTHW: np.ndarray, min_iou: float = MIN_IOU) -> int:
    """Count changes, over all true objects, of the predicted object that stands for them from one frame to the next where any does.

    Args:
        masks_NTHW, truth_MTHW: bool masks of the predicted and the true objects.
        min_iou: overlap from which on a pair can be matched; pairs of a frame are one to one, with the greatest sum of overlaps.
    """
    last: dict[int, int] = {}
    switches = 0
    for masks_NHW, truth_MHW in zip(masks_NTHW.swapaxes(0, 1), truth_MTHW.swapaxes(0, 1), strict=True):
        iou_NM = pairwise_iou(masks_NHW, truth_MHW)
        for n, m in zip(*assign(-np.where(iou_NM >= min_iou, iou_NM, 0.0)), strict=True):
            if iou_NM[n, m] >= min_iou:
                switches += last.get(int(m), int(n)) != int(n)
                last[int(m)] = int(n)
    return switches


def pairwise_iou(masks_N: np.ndarray, truth_M: np.ndarray) -> np.ndarray:
    """Overlap of every predicted with every true mask, images or tubes -> iou_NM; 0 where both are empty."""
    num_pixels = int(np.prod(masks_N.shape[1:]))
    masks_NP, truth_MP = (masks.reshape(len(masks), num_pixels).astype(np.float32) for masks in (masks_N, truth_M))
    common_NM = masks_NP @ truth_MP.T
    union_NM = masks_NP.sum(1)[:, None] + truth_MP.sum(1)[None] - common_NM
    return common_NM / np.maximum(union_NM, 1)
