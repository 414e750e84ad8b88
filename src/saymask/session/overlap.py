"""Which object of a new answer is which object of the old one: the one that lies where it lay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def same_objects(old_NHW: Sequence[np.ndarray], new_NHW: Sequence[np.ndarray]) -> dict[int, int]:
    """Pair masks of one frame: those that overlap, the largest IoU first.

    What is left is paired in its order where one of the two masks is empty: an object that is out of view, or that comes back, contradicts
    nothing. Two masks that are both somewhere, but apart, are two objects.

    Returns:
        Number of the new mask -> number of the old one; new objects are not in it.
    """
    pairs: dict[int, int] = {}
    of_all = {(new, old): _iou(old_NHW[old], new_NHW[new]) for new in range(len(new_NHW)) for old in range(len(old_NHW))}
    for (new, old), iou in sorted(of_all.items(), key=lambda item: -item[1]):
        if iou > 0 and new not in pairs and old not in pairs.values():
            pairs[new] = old
    for new, new_HW in enumerate(new_NHW):
        for old, old_HW in enumerate(old_NHW):
            if new not in pairs and old not in pairs.values() and not (new_HW.any() and old_HW.any()):
                pairs[new] = old
    return pairs


def _iou(one_HW: np.ndarray, other_HW: np.ndarray) -> float:
    union = np.count_nonzero(one_HW | other_HW)
    return np.count_nonzero(one_HW & other_HW) / union if union else 0.0
