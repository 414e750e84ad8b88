"""Mask losses shared by families and trackers; definitions of LISA and VideoLISA (loss section of the released code).

Both take logits and targets as N H W (targets 0 or 1) and divide the sum over masks by `num_masks`, so that a batch spread over
several devices can pass its global count.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

DICE_SCALE = 1000.0
DICE_EPS = 1e-6
COUNT_EPS = 1e-8


def mask_bce_loss(mask_logits_NHW: Tensor, targets_NHW: Tensor, num_masks: float | Tensor) -> Tensor:
    """Binary cross-entropy: mean over the pixels of a mask, sum over masks / num_masks."""
    per_pixel_NHW = F.binary_cross_entropy_with_logits(mask_logits_NHW, targets_NHW, reduction="none")
    return per_pixel_NHW.flatten(1).mean(1).sum() / (num_masks + COUNT_EPS)


def mask_dice_loss(mask_logits_NHW: Tensor, targets_NHW: Tensor, num_masks: float | Tensor) -> Tensor:
    """Soft Dice on probabilities, sum over masks / num_masks.

    Areas are divided by 1000 before 1e-6 is added; with an empty target the loss then falls only when almost nothing is predicted.
    """
    prob_NK, target_NK = mask_logits_NHW.sigmoid().flatten(1), targets_NHW.flatten(1)
    overlap_N = 2 * (prob_NK / DICE_SCALE * target_NK).sum(1)
    areas_N = (prob_NK / DICE_SCALE).sum(1) + (target_NK / DICE_SCALE).sum(1)
    dice_N = (overlap_N + DICE_EPS) / (areas_N + DICE_EPS)
    return (1 - dice_N).sum() / (num_masks + COUNT_EPS)


def soft_target_loss(logits_KV: Tensor, targets_KV: Tensor, weights_K: Tensor) -> Tensor:
    """Cross-entropy against a distribution over words, as a weighted mean over rows (0 if no row has weight)."""
    per_row_K = -(targets_KV * torch.log_softmax(logits_KV.float(), dim=-1)).sum(-1)
    return (per_row_K * weights_K).sum() / weights_K.sum().clamp(min=1.0)
