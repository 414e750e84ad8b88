"""From a chunk's mask logits to run lengths and scores, many masks at a time, column by column as run lengths are counted.

lowres_TNhw ─ columns that can hold a pixel ─ full size ─ > 0 ─ one transfer from the device ─ run lengths, mean probability

Bilinear interpolation does not leave the range of what it interpolates: where two neighbouring columns have no positive logit, none is
between them. So only columns beside a positive one are brought to full size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from saymask.errors import CheckpointError
from saymask.models.base import MaskLogits
from saymask.records import Rle
from saymask.storage.feature_cache import chunks

MASK_BYTES = 16 * 2**20
"""How much full-size logits of several masks may take at a time."""

Found = list[tuple[Rle, float]]
"""Mask and score of some objects on one frame."""


@torch.inference_mode()
def threshold(logits: MaskLogits) -> list[Found]:
    """Masks and scores of a chunk, per frame; the score is the mean probability of the predicted pixels, 0 if there are none.

    Raises:
        CheckpointError: a logit is NaN.
    """
    num_frames, num_objects = logits.lowres_TNhw.shape[:2]
    geometry = logits.geometry.transposed()
    lowres_Mwh = logits.lowres_TNhw.flatten(0, 1).mT.contiguous()
    width, height = geometry.original_size
    found: Found = []
    for part in chunks(range(num_frames * num_objects), max(1, MASK_BYTES // (4 * height * width))):
        lines_Mwh = geometry.without_padding(lowres_Mwh[part[0] : part[-1] + 1])
        mask_A, columns_AH, places_A = _full_columns(lines_Mwh, height, width)
        inside_AH = (columns_AH > 0).cpu().numpy()
        rles = Rle.encode_columns(inside_AH, places_A.cpu().numpy(), len(part), width)
        # Probabilities of pixels inside, less one half: of all others that is exactly 0.
        excess_A = columns_AH.clamp_(min=0).sigmoid_().sub_(0.5).sum(1)
        excess_M = excess_A.new_zeros(len(part)).index_add_(0, mask_A, excess_A)
        excess_M[lines_Mwh.isnan().flatten(1).any(1)] = math.nan
        scores = [0.5 + excess / rle.area if rle.area else excess for excess, rle in zip(excess_M.tolist(), rles, strict=True)]
        found += _scored(rles, scores)
    return [found[start : start + num_objects] for start in range(0, len(found), num_objects)]


def _full_columns(lines_Mwh: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """The columns of full-size logits that may hold a positive one.

    Args:
        lines_Mwh: logits of M masks, column by column.
        height, width: full size.

    Returns:
        mask_A, the mask that each belongs to; columns_AH; places_A, mask * width + column.
    """
    w = lines_Mwh.shape[1]
    # As `interpolate` places pixels: their centres are stretched, and the first and last are repeated outwards.
    centres_W = ((torch.arange(width, device=lines_Mwh.device) + 0.5) * (w / width) - 0.5).clamp(min=0)
    left_W = centres_W.long()
    right_W = (left_W + 1).clamp(max=w - 1)
    positive_Mw = (lines_Mwh > 0).any(-1)
    mask_A, column_A = (positive_Mw[:, left_W] | positive_Mw[:, right_W]).nonzero(as_tuple=True)
    left_A, right_A, share_A = left_W[column_A], right_W[column_A], (centres_W - left_W)[column_A]
    columns_Ah = torch.lerp(lines_Mwh[mask_A, left_A], lines_Mwh[mask_A, right_A], share_A[:, None])
    columns_AH = functional.interpolate(columns_Ah[:, None], size=height, mode="linear", align_corners=False)[:, 0]
    return mask_A, columns_AH, mask_A * width + column_A


def encode_masks(masks_NHW: Tensor, scores_N: Tensor) -> Found:
    """Bool masks -> run lengths, with their scores, in one transfer from the device.

    Raises:
        CheckpointError: a score is NaN.
    """
    masks_NWH = masks_NHW.transpose(1, 2).contiguous().cpu().numpy()
    return _scored(Rle.encode_all(masks_NWH), scores_N.tolist())


def _scored(rles: Sequence[Rle], scores: Sequence[float]) -> Found:
    if not all(map(math.isfinite, scores)):
        raise CheckpointError(
            "the model's masks are not numbers (NaN), so none would be found: its configuration is damaged, or the dtype is too narrow; "
            "load it with --dtype float32, or copy it again"
        )
    return list(zip(rles, scores, strict=True))
