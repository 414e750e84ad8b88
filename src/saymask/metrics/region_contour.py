"""How well a mask fits the truth on one frame: J, F and J&F as the DAVIS benchmark defines them, R as ReVOS does.

J is intersection over union. F is the harmonic mean of two shares: of the prediction's boundary that lies near the true one,
and of the true boundary that lies near the prediction's. Near means within a disk of 0.008 image diagonals.
Two empty masks agree completely (1); an empty one against a filled one scores 0. R says how little was marked by mistake.

Masks are (H, W) arrays in which any value other than 0 is the object. Pixels where `void` is set do not count. Scores are 0 ... 1.
"""

from __future__ import annotations

import math

import numpy as np

from saymask.metrics.boundary import met_shares

BOUND_TH = 0.008


def region_similarity(mask_HW: np.ndarray, truth_HW: np.ndarray, void_HW: np.ndarray | None = None) -> float:
    """J: intersection over union, 1 if both are empty."""
    mask_HW, truth_HW = _prepare(mask_HW, truth_HW, void_HW)
    intersection = np.count_nonzero(mask_HW & truth_HW)
    union = np.count_nonzero(mask_HW) + np.count_nonzero(truth_HW) - intersection
    return intersection / union if union else 1.0


def contour_accuracy(mask_HW: np.ndarray, truth_HW: np.ndarray, void_HW: np.ndarray | None = None, bound_th: float = BOUND_TH) -> float:
    """F: how well the boundaries agree, 1 if both are empty.

    Args:
        mask_HW, truth_HW, void_HW: as in the module's description.
        bound_th: how far apart boundaries may lie: a share of the image diagonal, or pixels if 1 or more.
    """
    mask_HW, truth_HW = _prepare(mask_HW, truth_HW, void_HW)
    radius = bound_th if bound_th >= 1 else math.ceil(bound_th * math.hypot(*mask_HW.shape))
    precision, recall = met_shares(mask_HW, truth_HW, radius)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def j_and_f(mask_HW: np.ndarray, truth_HW: np.ndarray, void_HW: np.ndarray | None = None) -> float:
    """J&F: the mean of the two measures."""
    return (region_similarity(mask_HW, truth_HW, void_HW) + contour_accuracy(mask_HW, truth_HW, void_HW)) / 2


def video_scores(masks_THW: np.ndarray, truth_THW: np.ndarray, void_THW: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """J and F of every frame -> float64 (T,), (T,)."""
    if masks_THW.shape != truth_THW.shape:
        raise ValueError(f"masks {masks_THW.shape} and truth {truth_THW.shape} differ in shape")
    frames = [
        (mask_HW, truth_HW, None if void_THW is None else void_THW[t])
        for t, (mask_HW, truth_HW) in enumerate(zip(masks_THW, truth_THW, strict=True))
    ]
    return np.array([region_similarity(*frame) for frame in frames]), np.array([contour_accuracy(*frame) for frame in frames])


def robustness_r(mask_HW: np.ndarray, truth_HW: np.ndarray, foreground_HW: np.ndarray) -> float:
    """R: 1 minus the falsely marked area, measured in areas of everything a question of the video can mean; at least 0.

    Where nothing is foreground, a single false pixel makes it 0. VISA, section 9.2 of the ReVOS protocol.

    Args:
        mask_HW, truth_HW: as in the module's description.
        foreground_HW: union of all annotated instances of the video.
    """
    return _robustness(mask_HW, truth_HW, foreground_HW, pixel_weight=1)


def robustness_r_x255(mask_HW: np.ndarray, truth_HW: np.ndarray, foreground_HW: np.ndarray) -> float:
    """R on the scale of the published tables, where every false pixel weighs 255; arguments as for `robustness_r`.

    The released script reads predictions from pictures of 0 and 255 and does not make them binary. The two scales do not compare.
    """
    return _robustness(mask_HW, truth_HW, foreground_HW, pixel_weight=255)


def _robustness(mask_HW: np.ndarray, truth_HW: np.ndarray, foreground_HW: np.ndarray, pixel_weight: int) -> float:
    mask_HW, truth_HW = _prepare(mask_HW, truth_HW, None)
    return remaining_share(pixel_weight * int(np.count_nonzero(mask_HW & ~truth_HW)), int(np.count_nonzero(foreground_HW)))


def remaining_share(false_area: int, foreground_area: int, epsilon: float = 0.0) -> float:
    """What the false area leaves of the foreground's: 1 - false / foreground, at least 0; 1 if nothing is false."""
    if not false_area:
        return 1.0
    return max(0.0, 1 - false_area / (foreground_area + epsilon)) if foreground_area else 0.0


def _prepare(mask_HW: np.ndarray, truth_HW: np.ndarray, void_HW: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Check the shapes, make the masks bool and empty them where `void` is set."""
    if mask_HW.shape != truth_HW.shape or mask_HW.ndim != 2:
        raise ValueError(f"mask {mask_HW.shape} and truth {truth_HW.shape} must be images of one shape")
    mask_HW, truth_HW = np.asarray(mask_HW, dtype=bool), np.asarray(truth_HW, dtype=bool)
    if void_HW is None:
        return mask_HW, truth_HW
    counts_HW = ~np.asarray(void_HW, dtype=bool)
    return mask_HW & counts_HW, truth_HW & counts_HW
