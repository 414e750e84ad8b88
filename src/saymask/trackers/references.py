"""Which of a model's own masks a tracker may trust.

A mask that barely changes when its threshold moves has a clear outline; one that falls apart was a guess. Stability is the overlap of
the masks at logit -1 and at logit +1 (the measure that Segment Anything filters its masks with).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MARGIN = 1.0
MIN_STABILITY = 0.5


def stability(logits_HW: Tensor) -> float:
    """IoU (0 ... 1) of the masks at logit -1 and +1; 0 if even the larger one is empty."""
    larger, smaller = (int((logits_HW > threshold).sum()) for threshold in (-MARGIN, MARGIN))
    return smaller / larger if larger else 0.0


def flaw(logits_HW: Tensor, min_stability: float = MIN_STABILITY) -> str | None:
    """Why a mask cannot be a reference, in words; None if it can."""
    if not (logits_HW > 0).any():
        return "its mask is empty"
    if (value := stability(logits_HW)) < min_stability:
        return f"its mask is unstable ({value:.2f}, {min_stability:.2f} is needed)"
    return None
