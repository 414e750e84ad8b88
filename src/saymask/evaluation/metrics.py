"""How well a mask fits the truth: region similarity J and contour accuracy F, as the DAVIS benchmark defines them.

J is intersection over union. F is the harmonic mean of two shares: of the prediction's boundary that lies near the true one,
and of the true boundary that lies near the prediction's. Near means within a disk of 0.008 image diagonals.
Two empty masks agree completely (1); an empty one against a filled one scores 0.

Masks are (H, W) arrays in which any value other than 0 is the object. Pixels where `void` is set do not count.
"""

from __future__ import annotations

import math

import numpy as np

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
    edges_HW, true_edges_HW = boundary_map(mask_HW), boundary_map(truth_HW)
    box = _bounding_box(edges_HW | true_edges_HW)  # only the part of the image that holds boundaries can matter
    edges_HW, true_edges_HW = edges_HW[box], true_edges_HW[box]
    num_edges, num_true_edges = np.count_nonzero(edges_HW), np.count_nonzero(true_edges_HW)
    if num_edges == 0 or num_true_edges == 0:
        return float(num_edges == num_true_edges)
    precision = np.count_nonzero(edges_HW & _dilate(true_edges_HW, radius)) / num_edges
    recall = np.count_nonzero(true_edges_HW & _dilate(edges_HW, radius)) / num_true_edges
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


def boundary_map(mask_HW: np.ndarray) -> np.ndarray:
    """Mark the pixels that differ from their right, lower or lower right neighbour (bool).

    Neighbours outside the image do not count, so an object that touches the image's edge has no boundary there.
    """
    mask_HW = np.asarray(mask_HW, dtype=bool)
    edges_HW = np.zeros_like(mask_HW)
    edges_HW[:, :-1] = mask_HW[:, :-1] != mask_HW[:, 1:]
    edges_HW[:-1] |= mask_HW[:-1] != mask_HW[1:]
    edges_HW[:-1, :-1] |= mask_HW[:-1, :-1] != mask_HW[1:, 1:]
    return edges_HW


def _prepare(mask_HW: np.ndarray, truth_HW: np.ndarray, void_HW: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Check the shapes, make the masks bool and empty them where `void` is set."""
    if mask_HW.shape != truth_HW.shape or mask_HW.ndim != 2:
        raise ValueError(f"mask {mask_HW.shape} and truth {truth_HW.shape} must be images of one shape")
    mask_HW, truth_HW = np.asarray(mask_HW, dtype=bool), np.asarray(truth_HW, dtype=bool)
    if void_HW is None:
        return mask_HW, truth_HW
    counts_HW = ~np.asarray(void_HW, dtype=bool)
    return mask_HW & counts_HW, truth_HW & counts_HW


def _bounding_box(edges_HW: np.ndarray) -> tuple[slice, slice]:
    """Slices of the smallest box that holds all marked pixels."""
    rows, columns = np.flatnonzero(edges_HW.any(1)), np.flatnonzero(edges_HW.any(0))
    if not len(rows):
        return slice(0), slice(0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _dilate(edges_HW: np.ndarray, radius: float) -> np.ndarray:
    """Mark everything within `radius` of a marked pixel.

    A disk is a row of vertical spans that grow towards its centre: walk inwards, lengthen the span, shift it to both sides.
    The image is one flat vector, each row followed by enough empty pixels to shift into, because that is four times faster.
    """
    height, width = edges_HW.shape
    reach = int(radius)
    stride = width + reach
    edges = np.pad(edges_HW, ((0, 0), (0, reach))).ravel()
    span, dilated = edges.copy(), np.zeros_like(edges)
    half_span = 0
    for offset in range(reach, -1, -1):
        wanted = math.isqrt(int(radius**2 - offset**2))
        for distance in range(half_span + 1, wanted + 1):
            _or_shifted(span, edges, distance * stride)
        half_span = wanted
        _or_shifted(dilated, span, offset)
    return dilated.reshape(height, stride)[:, :width]


def _or_shifted(target: np.ndarray, source: np.ndarray, shift: int) -> None:
    """Add to `target`, in place, the vector `source` shifted by `shift` elements both ways."""
    kept = max(len(source) - shift, 0)
    target[shift:] |= source[:kept]
    target[:kept] |= source[shift:]
