"""What the auxiliary losses compare with, made from the regions that a drawn sample knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from saymask.models.parts.auxiliary import RegionTargets
from saymask.models.parts.composite_config import CompositeConfig
from saymask.samples import Sample


@dataclass(frozen=True)
class SeenFrames:
    """Which frames of a sample went where.

    Args:
        tower_frame_idx: S frames that the vision tower sees.
        masked_frame_idx: D frames with a mask loss.
        masks: their true masks, bool DHW.
    """

    tower_frame_idx: np.ndarray
    masked_frame_idx: np.ndarray
    masks: np.ndarray


def region_targets(samples: Sequence[Sample], seen: Sequence[SeenFrames], config: CompositeConfig) -> RegionTargets:
    """Share of every patch and cell that each region word covers; frames must be square (no crop, no padding)."""
    index = {word: i for i, word in enumerate(config.region_words)}
    patches, cells = (side // part for side, part in (config.tower_size, config.mask_size))
    tower_words, mask_words, target_words, coarse = [], [], [], []
    for sample, frames in zip(samples, seen, strict=True):
        table_RK = torch.zeros(len(sample.region_words) + 1, len(index))
        for region, words in enumerate(sample.region_words, start=1):
            for word in words:
                table_RK[region, index[word]] = 1 / len(words)
        tower_ids_SHW, masked_ids_DHW = map(sample.regions, (frames.tower_frame_idx, frames.masked_frame_idx))
        tower_words.append(_word_shares(torch.from_numpy(tower_ids_SHW).long(), table_RK, patches))
        mask_words.append(_word_shares(torch.from_numpy(masked_ids_DHW).long(), table_RK, cells))
        coarse.append(adaptive_avg_pool2d(torch.from_numpy(frames.masks).float(), cells))
        target_words.append(_shared_words(table_RK, sample.expression.obj_ids))
    return RegionTargets(
        tower_words_BSPK=rearrange(torch.stack(tower_words), "b s h w k -> b s (h w) k"),
        mask_words_BDhwK=torch.stack(mask_words),
        coarse_targets_BDhw=torch.stack(coarse),
        target_words_BK=torch.stack(target_words),
    )


def _word_shares(ids_THW: Tensor, table_RK: Tensor, cells: int) -> Tensor:
    """Average of the regions' word rows over each of cells x cells parts of the frame -> T h w K."""
    frames, height, width = ids_THW.shape
    row_H, column_W = torch.arange(height) * cells // height, torch.arange(width) * cells // width
    cell_THW = (torch.arange(frames)[:, None, None] * cells + row_H[:, None]) * cells + column_W
    counts = torch.bincount((cell_THW * len(table_RK) + ids_THW).flatten(), minlength=frames * cells * cells * len(table_RK))
    counts_ThwR = counts.view(frames, cells, cells, len(table_RK)).float()
    return counts_ThwR / counts_ThwR.sum(-1, keepdim=True) @ table_RK


def _shared_words(table_RK: Tensor, obj_ids: Sequence[int]) -> Tensor:
    """Distribution over the words that all target regions share; zeros if there is no target or nothing shared."""
    if not obj_ids:
        return torch.zeros(table_RK.shape[1])
    shared_K = table_RK[list(obj_ids)].gt(0).all(0).float()
    return shared_K / shared_K.sum().clamp(min=1)
