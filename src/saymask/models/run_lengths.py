"""From a chunk's mask logits to run lengths and scores: one threshold and one transfer from the device for many masks.

lowres_TNhw ─ full size, a part at a time ─ > 0 ─ masks, mean probability ─ run lengths
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from saymask.errors import CheckpointError
from saymask.models.base import MaskLogits
from saymask.records import Rle
from saymask.storage.feature_cache import chunks

MASK_BYTES = 64 * 2**20
"""How much full-size logits of several masks may take at a time."""

Found = list[tuple[Rle, float]]
"""Mask and score of some objects on one frame."""


@torch.inference_mode()
def threshold(logits: MaskLogits) -> list[Found]:
    """Masks and scores of a chunk, per frame; the score is the mean probability of the predicted pixels, 0 if there are none."""
    num_frames, num_objects = logits.lowres_TNhw.shape[:2]
    height, width = logits.geometry.original_size
    flat = MaskLogits(logits.lowres_TNhw.flatten(0, 1)[:, None], logits.geometry)
    found: Found = []
    for part in chunks(range(num_frames * num_objects), max(1, MASK_BYTES // (4 * height * width))):
        logits_MHW = flat.full_size(slice(part[0], part[-1] + 1))[:, 0]
        masks_MHW = logits_MHW > 0
        prob_M = logits_MHW.sigmoid_().mul_(masks_MHW).flatten(1).sum(1) / masks_MHW.flatten(1).sum(1).clamp(min=1)
        del logits_MHW
        found += encode_masks(masks_MHW, prob_M)
    return [found[start : start + num_objects] for start in range(0, len(found), num_objects)]


def encode_masks(masks_NHW: Tensor, scores_N: Tensor) -> Found:
    """Bool masks -> run lengths, with their scores, in one transfer from the device.

    Raises:
        CheckpointError: a score is NaN.
    """
    masks_NWH = masks_NHW.transpose(1, 2).contiguous().cpu().numpy()
    scores = scores_N.tolist()
    if not all(map(math.isfinite, scores)):
        raise CheckpointError(
            "the model's masks are not numbers (NaN), so none would be found: its configuration is damaged, or the dtype is too narrow; "
            "load it with --dtype float32, or copy it again"
        )
    return list(zip(Rle.encode_all(masks_NWH), scores, strict=True))
